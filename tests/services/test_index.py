"""The index is fitted on a schedule, and between fits only what is new is transformed."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest

from newsletter.services.context import open_context
from newsletter.services.index import saved_index
from newsletter.services.jobs import tick
from newsletter.support.clock import frozen_clock
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.smtp import Mailbox


def state(newsletter: Newsletter) -> dict:
    return json.loads((newsletter.folder / "var" / "index" / "state.json").read_text())


def add(newsletter: Newsletter, *titles: str, now: str = "2025-11-28T09:00") -> None:
    lines = [json.dumps({"title": title, "abstract": f"{title}, looms and energy."}) for title in titles]
    (newsletter.folder / "more.jsonl").write_text("\n".join(lines))
    newsletter.run("import", "more.jsonl", now=now)


def test_the_command_says_when_it_was_fitted_and_when_it_will_be(newsletter: Newsletter) -> None:
    assert "No papers yet" in newsletter.run("index").out
    newsletter.with_sample()
    (row,) = newsletter.run("index", "--json").rows
    assert (row["fitted_at"], row["next_fit"]) == ("2025-11-28T09:00:00+00:00", "2025-12-05T09:00:00+00:00")
    assert row["papers"] == row["fitted_papers"]
    assert "next fit: 2025-12-05 09:00 UTC" in newsletter.run("index").out
    assert (
        newsletter.run("index", "--refit", "--json", now="2025-11-30T10:00").rows[0]["fitted_at"][:10] == "2025-11-30"
    )


def test_a_new_day_is_transformed_and_a_week_later_the_space_is_fitted_anew(
    newsletter: Newsletter, mail: Mailbox
) -> None:
    newsletter.with_sample()
    newsletter.subscriber("ada", "email: ada@example.org\ninterests: [energy-based models]\n")
    newsletter.run("send")
    first = state(newsletter)
    add(newsletter, "Quokkas", now="2025-11-29T08:00")
    newsletter.run("send", now="2025-11-29T09:00")
    second = state(newsletter)
    assert (second["version"], second["held"]) == (first["version"], first["held"] + 1)
    # Looking does not refit, however late; an edition does.
    newsletter.run("rank", "ada@example.org", now="2025-12-06T09:00")
    assert state(newsletter)["version"] == first["version"]
    newsletter.run("send", now="2025-12-06T09:00")
    third = state(newsletter)
    assert third["version"] != first["version"]
    assert (third["fitted_at"][:10], third["papers"]) == ("2025-12-06", first["held"] + 1)
    # The log's digests keep the space they were ranked in; of its papers nothing is left.
    kept = sorted(path.name for path in (newsletter.folder / "var" / "index" / first["version"]).iterdir())
    assert kept == ["space"]


def test_a_space_that_no_digest_was_ranked_in_is_removed(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.run("papers", "search", "energy")
    first = state(newsletter)["version"]
    add(newsletter, *(f"Looms {number}" for number in range(80)))
    newsletter.run("papers", "search", "energy")
    assert state(newsletter)["version"] != first
    assert not (newsletter.folder / "var" / "index" / first).exists()


def test_run_indexes_what_it_fetched_and_says_so(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.with_sample()
    ran = newsletter.run("run", "--once")
    assert "event='fitted'" in ran.out
    assert "next_fit='2025-12-05T09:00+00:00'" in ran.out
    add(newsletter, "Quokkas")
    assert "event='indexed'" in newsletter.run("run", "--once").out
    assert "indexed" not in newsletter.run("run", "--once").out


@pytest.mark.system
def test_many_processes_may_bring_it_up_to_date_at_once(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.run("papers", "search", "energy")
    add(newsletter, "Quokkas", "Wombats")

    def look(_: int) -> list[str]:
        out, err = newsletter.start("papers", "search", "quokkas", "wombats", "--json").communicate(timeout=120)
        assert not err
        return sorted(json.loads(line)["title"] for line in out.splitlines())

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(look, range(3)))
    assert found == [["Quokkas", "Wombats"]] * 3


@pytest.mark.system
def test_many_processes_may_fit_it_at_once(newsletter: Newsletter, reader: str) -> None:
    """Each has what it fitted, though another puts its own in the same place."""
    newsletter.with_sample()

    def look(_: int) -> int:
        out, err = newsletter.start("--now", NOW, "send", "--dry-run", "--json").communicate(timeout=120)
        assert not err
        (row,) = map(json.loads, out.splitlines())
        assert row["reason"] is None
        return len(row["papers"])

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(look, range(3))) == [8] * 3


def test_what_a_killed_process_left_behind_stands_in_nobodys_way(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    newsletter.run("papers", "search", "energy")
    left = newsletter.folder / "var" / "index" / state(newsletter)["version"] / "recent-1"
    left.mkdir()
    (left / "rows.npy").write_bytes(b"half")
    add(newsletter, "Quokkas")
    assert [row["title"] for row in newsletter.run("papers", "search", "quokkas", "--json").rows] == ["Quokkas"]


def test_an_index_damaged_on_the_day_of_its_fit_is_made_again(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    before = newsletter.run("papers", "search", "energy", "--json").rows
    version = state(newsletter)["version"]
    damaged = newsletter.folder / "var" / "index" / version / "base" / "rows.npy"
    damaged.write_bytes(damaged.read_bytes()[:100])
    # As another process finds it: this one has the index in memory.
    process = newsletter.start("--now", "2025-11-28T09:00", "papers", "search", "energy", "--json")
    out, err = process.communicate(timeout=60)
    assert [json.loads(line) for line in out.splitlines()] == before, err
    assert state(newsletter)["version"] == version


def test_a_paper_that_the_index_has_not_yet_stands_for_choice_next_time(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(ranking={"min_score": 0})
    newsletter.subscriber("ada", "email: ada@example.org\nschedule: {days: daily}\ninterests: [looms]\n")
    add(newsletter, "Looms of glass", "Looms of steel")
    newsletter.run("subscribers", "list", now="2025-11-29T07:00")
    newsletter.run("papers", "search", "looms")
    add(newsletter, "Looms of paper")
    context = open_context(newsletter.config, frozen_clock(datetime(2025, 11, 29, 9, 0, tzinfo=UTC)))
    assert tick(context, lambda event, **facts: None, lambda: False, get_index=partial(saved_index, context))
    newsletter.run("run", "--once", now="2025-11-30T09:00")
    first, second = (message.get_body(("plain",)).get_content() for message in mail.messages())
    assert "Looms of glass" in first
    assert "Looms of paper" not in first
    assert "Looms of paper" in second


def test_an_index_of_another_store_is_not_used(newsletter: Newsletter) -> None:
    newsletter.with_sample()
    context = open_context(newsletter.config, frozen_clock(datetime(2025, 11, 29, 9, 0, tzinfo=UTC)))
    newsletter.run("papers", "search", "looms")
    assert saved_index(context) is not None
    context.engine.dispose()
    (newsletter.folder / "var" / "newsletter.db").unlink()
    again = open_context(newsletter.config, frozen_clock(datetime(2025, 11, 29, 9, 0, tzinfo=UTC)))
    assert saved_index(again) is None
