"""Each wrong key and value is told with what was probably meant."""

import pytest

from tests.helpers.newsletter import CONFIG, Newsletter

ARXIV = "sources:\n  a:\n    kind: arxiv\n    categories: "


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("bounces:\n  imap: {host: x, user: y, security: ssl}", "did you mean 'tls'?"),
        ("bounces:\n  imap: {host: x, user: y, security: SSL/TLS}", "did you mean 'tls'?"),
        ("sources: {hf: {kind: hugging-face}}", "did you mean 'huggingface'?"),
        ("sources: {a: {kind: rss, url: https://x.org}}", "did you mean 'feed'?"),
        ("sources: {hf: {type: huggingface}}", "sources.hf.kind: missing; write 'kind' instead of 'type'"),
        (f"{ARXIV}[cs-LG]", "'cs-LG' is not a category of arXiv; did you mean 'cs.LG'?"),
        (f"{ARXIV}Machine Learning", "did you mean 'cs.LG'?"),
        (f"{ARXIV}[cs.LG]\n    replacements: yes please", "is not a boolean; did you mean true?"),
        ("bounces:\n  imap: {hostname: x, username: y}", "bounces.imap.hostname: unknown key; did you mean 'host'?"),
        ("bounces:\n  imap: {hostname: x, username: y}", "bounces.imap.username: unknown key; did you mean 'user'?"),
        ("tick_seconds: 30", "unknown key; did you mean 'schedule.tick_seconds'? indent it below 'schedule'"),
        ("schedule: {tz: UTC}", "unknown key; did you mean 'timezone'?"),
        ("schedule: {timezone: Vienna}", "did you mean Europe/Vienna?"),
        ("schedule: {timezone: New York}", "did you mean America/New_York?"),
        ("schedule: {timezone: Beijing}", "did you mean Asia/Shanghai?"),
        ("schedule: {timezone: CEST}", "did you mean Europe/Berlin?"),
        ("schedule: {timezone: EST5}", "did you mean America/New_York?"),
        ("schedule: {timezone: GMT+2}", "did you mean Etc/GMT-2?"),
        ("schedule: {timezone: '+05:00'}", "did you mean Etc/GMT-5?"),
        ("schedule: {fetch_at: 6am}", "'6am' is not a time of day; did you mean \"06:00\"?"),
        ("digest: {trending: no}", "digest.trending: 'no' is not a whole number; did you mean 0?"),
        (
            "digest: {layout: brief}",
            "digest.layout: 'brief' is not one of full, compact, titles; did you mean 'compact'?",
        ),
        ("web: {port: no}", "web.port: 'no' is not a whole number; write one like 5"),
        ("ranking: {min_score: 50%}", "did you mean 0.5?"),
        ("ranking: {min_score: 50}", "it must be 1 or less; did you mean 0.5?"),
        ("ranking: {min_score: '0,5'}", "did you mean 0.5?"),
        ("log: {keep_days: '1,000'}", "did you mean 1000?"),
        ("log: {keep_days: 1k}", "did you mean 1000?"),
        ("engine: process", "engine: 'process' is not an engine; did you mean 'processes'?"),
        ("engine: processes:999", "processes: with a number up to 256"),
    ],
)
def test_a_wrong_value_in_the_configuration(newsletter: Newsletter, section: str, expected: str) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}{section}\n")
    assert expected in newsletter.run("log", code=2).err


@pytest.mark.parametrize("written", ["6:00", "06:00", "[6:00]", "['06:00']"])
def test_a_time_needs_neither_quotes_nor_brackets(newsletter: Newsletter, written: str) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}schedule:\n  fetch_at: {written}\n")
    assert [f"{one:%H:%M}" for one in newsletter.config.schedule.fetch_at] == ["06:00"]


@pytest.mark.parametrize("category", ["cs.LG", "quant-ph", "cond-mat.soft", "cs.ZZ", "neuroscience of fish"])
def test_a_category_that_may_exist_is_taken(newsletter: Newsletter, category: str) -> None:
    (newsletter.folder / "config.yaml").write_text(f"{CONFIG}{ARXIV}{category}\n")
    newsletter.run("log")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("trending: -1", "ada.yaml:2: trending: '-1' is too small; it must be 0 or more"),
        ("layout: compct", "'compct' is not one of full, compact, titles; did you mean 'compact'?"),
        (
            "layout: headlines",
            "ada.yaml:2: layout: 'headlines' is not one of full, compact, titles; did you mean 'titles'?",
        ),
        ("layot: full", "unknown key; did you mean 'layout'?"),
        ("timezone: Vienna", "unknown key; did you mean 'schedule.timezone'? indent it below 'schedule'"),
        ("send_at: 7:00", "unknown key; did you mean 'schedule.time'?"),
        ("topics: [x]", "unknown key; did you mean 'interests'?"),
        ("schedule: {days: munday}", "'munday' is not a day; did you mean 'monday'?"),
        ("schedule: {days: [mon, weekday]}", "has 'weekday', which is not a day; did you mean 'weekdays'?"),
        ("schedule: {days: mon-fri}", "did you mean 'weekdays'?"),
        ("schedule: {days: Mittwoch}", "did you mean 'wed'?"),
        ("schedule: {time: 7pm}", 'did you mean "19:00"?'),
        ("schedule: {time: 7.30}", 'did you mean "07:30"?'),
        ("schedule: {time: noon}", 'did you mean "12:00"?'),
        ("papers: ten", "did you mean 10?"),
        ("papers: 5,", "did you mean 5?"),
        ("interests: LLMs", "'LLMs' is not a list; write it like [LLMs]"),
        ("interests:\n  name: a", "is a mapping, not a list; start each entry with '- '"),
    ],
)
def test_a_wrong_value_of_a_subscriber(newsletter: Newsletter, written: str, expected: str) -> None:
    newsletter.subscriber("ada", f"email: ada@example.org\n{written}\n")
    assert expected in newsletter.run("interests", "check", code=2).err
