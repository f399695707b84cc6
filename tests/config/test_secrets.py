"""The signing key: long enough, and nobody else's."""

import pytest

from tests.helpers.newsletter import Newsletter

KEY = "0123456789abcdef"


def key_file(newsletter: Newsletter, content: bytes, mode: int = 0o600) -> None:
    path = newsletter.folder / "var" / "secret.key"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (b"", 0),
        (b"\n", 0),
        (b"  \t\r\n" * 20, 0),
        (b"x", 1),
        (KEY[:15].encode(), 15),
        (f"   {KEY[:15]}   \n".encode(), 15),
        ("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9".encode(), 14),
    ],
)
@pytest.mark.parametrize("command", ["log", "send --dry-run", "subscribers list"])
def test_a_key_that_is_too_short_is_refused(newsletter: Newsletter, content: bytes, size: int, command: str) -> None:
    key_file(newsletter, content)
    said = newsletter.run(*command.split(), code=2).err
    assert f"secret.key: the signing key has {size} bytes and needs 16 or more; restore it from a backup, or" in said
    assert content.decode().strip() == "" or content.decode().strip() not in said.partition("the signing key")[2][9:]
    # Deleting it, as that says, makes a new one.
    (newsletter.folder / "var" / "secret.key").unlink()
    newsletter.run(*command.split())
    assert len((newsletter.folder / "var" / "secret.key").read_text().strip()) == 64


@pytest.mark.parametrize("key", [" " * 40, "short", KEY[:15], f"{KEY[:9]}{' ' * 40}"])
def test_so_is_one_of_the_environment(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", key)
    said = newsletter.run("log", code=2).err
    size = len(key.strip())
    assert (
        f"NEWSLETTER_SECRET_KEY: the signing key has {size} bytes and needs 16 or more; set a long random one" in said
    )


def test_keys_that_are_long_enough_go_on_working(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (KEY, f"{KEY}\n", "\u00e9" * 8, "k" * 500):
        key_file(newsletter, content.encode())
        newsletter.run("log")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", KEY)
    newsletter.run("log")
    # Set to nothing is not set.
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "")
    newsletter.run("log")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_key_that_others_can_read_is_refused(newsletter: Newsletter, mode: int) -> None:
    key_file(newsletter, KEY.encode(), mode)
    assert f"secret.key: readable by others (mode {mode:04o}); run 'chmod 600" in newsletter.run("log", code=2).err
    key_file(newsletter, b"\xff\xfe" * 20)
    assert "secret.key: not a text file" in newsletter.run("log", code=2).err
