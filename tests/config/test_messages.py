"""What is wrong in a file is told in plain words, whatever stands where something else should."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from newsletter.audience.subscriber_file import read_preferences_text
from newsletter.config.settings import Config
from newsletter.config.yaml import check, parse
from newsletter.errors import UserError

FULL_CONFIG = """\
site: {name: a, url: https://x.example, from: a@x.example, reply_to: b@x.example, postal_address: c}
store: {url: "sqlite:///x.db"}
subscribers: s
templates: t
sources:
  hf: {kind: huggingface, endpoint: https://x.example, by: week}
  arxiv: {kind: arxiv, categories: [a], replacements: "true", feed_url: https://x.example, pause_seconds: 1}
  bio: {kind: biorxiv, categories: [a], api_url: https://x.example}
  feed: {kind: feed, url: https://x.example}
  file: {kind: file, path: x.bib}
network: {timeout_seconds: 1, attempts: 1, wait_seconds: 1, contact: a}
ranking: {max_age_days: 1, feedback_half_life_days: 1, min_score: 1}
digest: {trending: 1, trending_half_life_days: 1}
smtp: {host: a, port: 1, security: tls, user: a, password_file: a, oauth2_file: a, timeout_seconds: 1}
schedule: {fetch_at: ["01:00"], timezone: UTC, tick_seconds: 1}
log: {keep_days: 14, keep_skipped_days: 1}
"""

FULL_PREFERENCES = """\
email: a@x.example
name: a
schedule: {days: [mon], time: "01:00", timezone: UTC}
papers: 1
never: [a]
interests:
  - b
  - name: a
    text: a
    keywords: {a: 1}
    liked: [a]
    disliked: [a]
    authors: [a]
    categories: [a]
    weight: 1
"""

_NEEDED = ("site", "email")

WRONG = [None, "", " ", "x", "-1", "0", "1.5", "1e999", "nan", "9" * 30, "y" * 30_000, "a\nb", "a\0b", "\u200b", [], {}]
WRONG += [["x"], [["x"]], [{"x": "y"}], [None], {"x": "y"}, {"x": {"y": "z"}}, {"x y": "z"}, "2025-01-01", "http://"]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*path, key))


def with_a_mistake(whole: dict[str, Any], path: tuple[Any, ...], wrong: Any) -> str:
    # What is wrong stands in a section of its own; without the others each is read much quicker.
    needed = {key: value for key, value in whole.items() if key in (*_NEEDED, *path[:1])} if path else whole
    document = {"": copy.deepcopy(needed)}
    place: Any = document
    for key in ("", *path)[:-1]:
        place = place[key]
    place[("", *path)[-1]] = wrong
    return json.dumps(document[""], indent=1)  # which is YAML too


@pytest.mark.parametrize(
    ("full", "read"),
    [
        (FULL_CONFIG, lambda text: check(parse(text, "f.yaml"), Config)),
        (FULL_PREFERENCES, lambda text: read_preferences_text(text, "f.yaml")),
    ],
    ids=["config", "preferences"],
)
def test_each_mistake_is_told_in_plain_words(full: str, read: Callable[[str], object]) -> None:
    read(full)
    told = set()
    whole = YAML(typ="safe").load(full)
    for path in paths(whole):
        for wrong in WRONG:
            try:
                read(with_a_mistake(whole, path, wrong))
            except UserError as error:
                told.update(error.lines)
    assert len(told) > 100
    for line in told:
        assert line.startswith("f.yaml:"), line
        assert len(line) < 300, line
        # The words of pydantic, and of Python.
        for strange in ("nput should", "tring should", "alue error", "valid ", "dictionary", "class ", "None", "{"):
            assert strange not in line.replace("is not valid", ""), line
