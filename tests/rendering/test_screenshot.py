"""Pictures of a message, by a real browser."""

import struct
from pathlib import Path

import pytest

from tests.helpers.newsletter import Newsletter


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_a_digest_fits_a_phone_and_a_desktop(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\npapers: 20\ninterests: [energy-based models]\n")
    phone, wide, dark = (newsletter.folder / f"{name}.png" for name in ("phone", "desk", "dark"))
    newsletter.run("preview", "ada@example.org", "--output", phone, "--width", "375")
    newsletter.run("preview", "ada@example.org", "--output", wide)
    newsletter.run("preview", "ada@example.org", "--output", dark, "--dark")
    # A page wider than its window would make a wider picture.
    assert size(phone)[0] == 375
    assert size(wide)[0] == 800
    assert size(phone)[1] > size(wide)[1] > 1000
    assert dark.read_bytes() != wide.read_bytes()


def test_without_a_browser_the_mend_is_told(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [energy-based models]\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    ran = newsletter.run("preview", "ada@example.org", "--output", "a.png", code=2)
    assert ran.err.startswith("error: --format png: ")
    assert "install Chromium" in ran.err
