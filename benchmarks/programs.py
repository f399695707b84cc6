"""Programs that benchmarks run beside ours: npm packages and Debian packages, put into ``var/bench``.

Nothing is installed on the machine: a Debian package that is missing is downloaded and unpacked, with the libraries it
needs, and its programs run from there. That needs apt-get and dpkg, but no rights.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from benchmarks.results import FOLDER, LeftOut

NODE = FOLDER / "node"
DEBIAN = FOLDER / "debian"
_NPM = Path(__file__).with_name("npm")
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_SECONDS = 300


@cache
def npm_folder(name: str) -> Path:
    """Install the packages of ``npm/NAME/package.json`` once; return the folder in which Node.js finds them.

    Raises:
        LeftOut: npm is missing or cannot install them.
    """
    if shutil.which("npm") is None:
        raise LeftOut("npm is not installed; install Debian's npm, or Node.js")
    folder, wanted = NODE / name, (_NPM / name / "package.json").read_text()
    done = folder / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        _run(["npm", "install", *options], folder, "npm")
        done.write_text(wanted)
    return folder


@cache
def debian_program(name: str, package: str) -> Path:
    """Return the path of a program, from the machine or unpacked from its Debian package.

    Run it with ``environment()``.

    Raises:
        LeftOut: It is missing, and its package cannot be unpacked.
    """
    here = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SBIN]))
    if here is not None:
        return Path(here)
    root = DEBIAN / package
    if not (root / "unpacked").exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise LeftOut(f"{name} is not installed; install the package {package}")
        _unpack(package, root)
    for folder in ("usr/sbin", "usr/bin"):
        if (root / folder / name).exists():
            return (root / folder / name).resolve()
    raise LeftOut(f"Debian's package {package} has no {name}")


def environment() -> dict[str, str]:
    """Return the environment for unpacked programs, in which they find their libraries."""
    # Postfix's own libraries are in a folder of their own.
    found = {str(path.parent.resolve()) for path in DEBIAN.glob("*/usr/lib/**/*.so*")}
    before = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join([*sorted(found), *([before] if before else [])])}


def _unpack(package: str, root: Path) -> None:
    """Download a Debian package and the libraries it needs, and unpack them into a folder."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        needed = _libraries(package)
        _run(["apt-get", "download", package, *needed], root, "apt-get")
    except LeftOut:
        # A new container has no lists of packages.
        _run(["apt-get", "update"], root, "apt-get")
        _run(["apt-get", "download", package, *_libraries(package)], root, "apt-get")
    for archive in root.glob("*.deb"):
        _run(["dpkg", "-x", archive.name, "."], root, "dpkg")
        archive.unlink()
    (root / "unpacked").touch()


def _libraries(package: str) -> list[str]:
    """Return the libraries a package depends on that are not installed."""
    listed = _run(["apt-cache", "depends", package], Path(), "apt-cache")
    return [name for name in re.findall(r"^ *Depends: (lib[^\s<:]+)$", listed, re.MULTILINE) if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    return subprocess.run(["dpkg", "-s", package], capture_output=True).returncode == 0


def _run(command: list[str], folder: Path, program: str) -> str:
    try:
        ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise LeftOut(f"{program} failed: {said[-1] if said else f'exit code {error.returncode}'}") from error
    except subprocess.TimeoutExpired as error:
        raise LeftOut(f"{program} took longer than {_SECONDS} seconds") from error
    except OSError as error:
        raise LeftOut(f"{program} failed: {error.strerror}") from error
    return ran.stdout
