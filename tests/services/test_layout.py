"""The layout of digests: a subscriber's choice, or else the newsletter's."""

import pytest

from newsletter.model import Layout
from tests.helpers.newsletter import Newsletter

ADA, BOB = "ada@example.org", "bob@example.org"


def layouts(newsletter: Newsletter) -> dict[str, str | None]:
    return {row["email"]: row["layout"] for row in newsletter.run("subscribers", "list", "--json").rows}


@pytest.mark.parametrize("layout", ["full", "compact", "titles"])
def test_a_file_says_it_and_keeps_its_comments(newsletter: Newsletter, layout: str) -> None:
    text = f"email: {ADA}\nlayout: {layout} # for the phone\ninterests: [looms]\n"
    path = newsletter.subscriber("ada", text)
    assert layouts(newsletter) == {ADA: layout}
    assert newsletter.run("interests", "show", ADA, "--json").rows[0]["layout"] == layout
    assert f"layout: {layout}\n" in newsletter.run("subscribers", "show", ADA).out
    newsletter.run("subscribe", ADA, "--papers", "7")
    assert f"layout: {layout} # for the phone\n" in path.read_text()
    newsletter.run("subscribe", ADA, "--layout", "compact")
    assert "layout: compact # for the phone\n" in path.read_text()
    assert layouts(newsletter) == {ADA: "compact"}
    path.write_text(f"email: {ADA}\ninterests: [looms]\n")
    assert layouts(newsletter) == {ADA: None}
    assert "layout: full, as usual here\n" in newsletter.run("subscribers", "show", ADA).out


@pytest.mark.both_stores
@pytest.mark.parametrize("name", ["people.jsonl", "people.csv"])
def test_it_is_exported_and_imported(newsletter: Newsletter, name: str) -> None:
    ada = newsletter.subscriber("ada", f"email: {ADA}\nlayout: titles\ninterests: [looms]\n")
    newsletter.subscriber("bob", f"email: {BOB}\ninterests: [looms]\n")
    exported = newsletter.run("subscribers", "export", "--format", name.partition(".")[2]).out
    (newsletter.folder / name).write_text(exported)
    ada.write_text(ada.read_text().replace("titles", "full"))
    assert layouts(newsletter) == {ADA: "full", BOB: None}
    newsletter.run("subscribers", "import", name)
    assert layouts(newsletter) == {ADA: "titles", BOB: None}
    assert "layout: titles" in ada.read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("people.csv", f"email,layout\n{ADA},compct\n"),
        ("people.jsonl", f'\n{{"email": "{ADA}", "layout": "compct"}}\n'),
    ],
)
def test_an_import_names_the_line_and_what_was_meant(newsletter: Newsletter, name: str, text: str) -> None:
    (newsletter.folder / name).write_text(text)
    said = f"{name}:2: layout: 'compct' is not one of full, compact, titles; did you mean 'compact'?"
    assert said in newsletter.run("subscribers", "import", name, code=2).err
    assert layouts(newsletter) == {}


def test_a_command_says_what_was_meant(newsletter: Newsletter) -> None:
    newsletter.with_sample().run("subscribe", ADA, "-i", "language models")
    for arguments in (("subscribe", ADA), ("preview", ADA)):
        assert "Did you mean 'titles'?" in newsletter.run(*arguments, "--layout", "title", code=2).err
    for layout in Layout:
        assert "language" in newsletter.run("preview", ADA, "--layout", layout, "--format", "text").out
    assert layouts(newsletter) == {ADA: None}


def test_a_layout_that_is_damaged_in_the_store_is_named(newsletter: Newsletter) -> None:
    newsletter.with_sample().run("subscribe", ADA, "--no-file", "--name", "Ada", "-i", "language models")
    newsletter.damage(ADA, layout="posters")
    newsletter.run("send", code=1)
    (row,) = newsletter.run("log", "--json").rows
    assert row["state"] == "failed"
    assert "'posters' is not a valid Layout" in row["reason"]


def test_the_subscribers_own_comes_before_the_newsletters(newsletter: Newsletter) -> None:
    newsletter.with_sample().configure(digest={"layout": "compact"})
    for name, line in (("ada", ""), ("bob", "layout: titles\n"), ("cyd", "layout: full\n")):
        newsletter.subscriber(name, f"email: {name}@example.org\ninterests: [language models]\n{line}")

    def has(name: str) -> tuple[bool, bool]:
        html = newsletter.run("preview", f"{name}@example.org", "--format", "html").out
        return "Idea:" in html, "More like this" in html

    assert has("ada") == (False, True)
    assert has("bob") == (False, False)
    assert has("cyd") == (True, True)
