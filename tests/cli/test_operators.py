"""``newsletter operators``: accounts of the admin site, on the command line."""

import io

import pytest

from newsletter.store import audit, open_store, reading
from tests.helpers.newsletter import Newsletter
from tests.helpers.terminal import typed

PASSWORD = "trombone lagoon 78"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch):
    """Let commands read a text from a standard input that is no terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_accounts_are_managed_by_commands(newsletter: Newsletter, piped) -> None:
    assert "add one with" in newsletter.run("operators", "list").out
    piped(f"{PASSWORD}\r\nanother line")
    added = newsletter.run("operators", "add", "grace", "--password-stdin")
    assert "There is no owner yet" in added.err
    newsletter.run("operators", "role", "Grace", "owner")
    for change in (("remove", "grace"), ("role", "grace", "editor")):
        assert "the only owner" in newsletter.run("operators", *change, code=2).err
    piped(PASSWORD)
    newsletter.run("operators", "add", "ada", "--role", "owner", "--password-stdin")
    piped("harbour violin 93\n")
    newsletter.run("operators", "password", "ada", "--password-stdin")
    assert "editor" in newsletter.run("operators", "role", "grace", "editor").out
    rows = newsletter.run("operators", "list", "--json").rows
    assert [(row["name"], row["role"], row["last_login"]) for row in rows] == [
        ("ada", "owner", None),
        ("grace", "editor", None),
    ]
    newsletter.run("operators", "remove", "grace")
    assert "grace" not in newsletter.run("operators", "list").out
    engine = open_store(newsletter.config.store_url)
    with reading(engine) as connection:
        done = [(one.actor, one.action, one.target) for one in reversed(audit.page(connection, None, 9))]
    engine.dispose()
    actions = ("add grace", "role grace", "add ada", "password ada", "role grace", "remove grace")
    assert done == [("command line", f"operator.{one.split()[0]}", one.split()[1]) for one in actions]


def test_a_password_is_typed_twice_and_never_shown(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def typed_unseen(prompt: str, **_: object) -> str:
        asked.append(prompt)
        return [PASSWORD, "another one", PASSWORD, PASSWORD][len(asked) - 1]

    # The terminal itself, which getpass opens, is the only part that is replaced.
    monkeypatch.setattr("getpass.getpass", typed_unseen)
    with typed(monkeypatch):
        ran = newsletter.run("operators", "add", "ada", "--role", "owner")
    assert len(asked) == 4
    assert PASSWORD not in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (("add", "ada"), "", "is not a terminal"),
        (("add", "ada", "--password-stdin"), "short\n", "error: password: it has 5 characters; use 12 or more"),
        (("add", "ada", "--password-stdin"), "", "it has 0 characters"),
        (("add", "command line", "--password-stdin"), PASSWORD, "error: NAME: 'command line' is not an operator name"),
        (("add", "", "--password-stdin"), PASSWORD, "is not an operator name"),
        (("remove", "nobody"), "", "error: NAME: no operator 'nobody'; see 'newsletter operators list'"),
        (("password", "nobody", "--password-stdin"), PASSWORD, "no operator 'nobody'"),
        (("role", "nobody", "owner"), "", "no operator 'nobody'"),
    ],
)
def test_mistakes_are_told(newsletter: Newsletter, piped, arguments: tuple[str, ...], text: str, said: str) -> None:
    piped(text)
    assert said in newsletter.run("operators", *arguments, code=2).err
    assert newsletter.run("operators", "list", "--json").rows == []
