"""Simulated hosts: network namespaces of this machine, each with its own name and address, on one bridge.

They want root, and Debian's iproute2 and nftables.
"""

import subprocess
from collections.abc import Sequence
from typing import Self

ADDRESS = "10.213.7.1"
"""The address of this machine on the bridge."""

_BRIDGE = "newsletter0"
_FIREWALL = "add table inet cut; add chain inet cut {0} {{ type filter hook {0} priority 0; policy drop; }}"


class Hosts:
    """A context manager; the processes on the hosts end first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __enter__(self) -> Self:
        self.__exit__()
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("address", "add", f"{ADDRESS}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number, name in enumerate(self._names, 2):
            _ip("netns", "add", name)
            _ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "net", "netns", name)
            _ip("link", "set", f"to-{name}", "master", _BRIDGE, "up")
            _ip("-n", name, "address", "add", f"{ADDRESS.rpartition('.')[0]}.{number}/24", "dev", "net")
            for device in ("lo", "net"):
                _ip("-n", name, "link", "set", device, "up")
        return self

    def __exit__(self, *_: object) -> None:
        # Delete the links too: a namespace disappears only with the last process in it.
        for what in (*(["link", "delete", f"to-{name}"] for name in self._names), ["link", "delete", _BRIDGE],
                     *(["netns", "delete", name] for name in self._names)):  # fmt: skip
            subprocess.run(["ip", *what], check=False, stderr=subprocess.DEVNULL)

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """Return a command that runs on a host, with the host's name."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
        return ["ip", "netns", "exec", name, *named, *command]

    def cut_off(self, name: str) -> None:
        """Make a host's firewall drop all its traffic."""
        for way in ("input", "output"):
            _on(name, "nft", _FIREWALL.format(way))


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _on(name: str, *command: str) -> None:
    subprocess.run(["ip", "netns", "exec", name, *command], check=True)
