"""The rounds as a whole: a newsletter whose domain, mail server and site are all well, and what one thing changes."""

from collections.abc import Sequence

import pytest
from pytest_httpserver import HTTPServer

from newsletter.doctor import sentence_model
from newsletter.doctor.checks import run_checks
from newsletter.doctor.result import CheckResult, CheckState
from newsletter.support.clock import system_clock
from tests.doctor.test_domain import key_record, make_key, public
from tests.doctor.test_http import FEED
from tests.helpers.dns import NameServer, Records
from tests.helpers.newsletter import Newsletter
from tests.helpers.sentence_model import SETTINGS, SHA256
from tests.helpers.smtp import Mailbox


def states(newsletter: Newsletter, records: Records, **options: object) -> dict[str, CheckResult]:
    with NameServer(records) as names:
        file = newsletter.folder / "config.yaml"
        found: Sequence[CheckResult] = list(run_checks(file, newsletter.config, system_clock, names, **options))
    return {one.name: one for one in found}


def test_all_that_the_network_tells(newsletter: Newsletter, mail: Mailbox, reader: str, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/healthz").respond_with_data("well")
    httpserver.expect_request("/feed").respond_with_data(FEED)
    make_key(newsletter.folder, 2048)
    url = httpserver.url_for("").rstrip("/")
    newsletter.configure(
        site={"from": "Papers <papers@papers-lab.org>", "url": url},
        sources={"feed": {"kind": "feed", "url": f"{url}/feed"}},
        smtp={"dkim_selector": "s1", "dkim_key_file": "2048.pem"},
        bounces={"address": "bounces@papers-lab.org"},
    )
    records = {
        "papers-lab.org": ['TXT "v=spf1 a mx -all"', "MX 10 papers-lab.org.", "A 93.184.216.34"],
        "_dmarc.papers-lab.org": ['TXT "v=DMARC1; p=quarantine"'],
        **key_record(f"v=DKIM1; p={public(newsletter.folder, 2048)}"),
    }
    found = states(newsletter, records, pages=True)
    asked = ("sender", "source feed", "site", "smtp", "spf", "dkim", "dmarc", "bounces", "clock")
    assert [found[name] for name in asked if found[name].state is not CheckState.OK] == []
    assert "accepts mail from bounces+0-" in found["smtp"].found  # with the plus sign of a return path
    assert mail.accepted == []
    # What is told last, and alone, when there is no network to be had.
    assert [one.state for one in states(newsletter, {}, offline=True).values()][-1] is CheckState.NOT_CHECKED


def test_what_the_domain_lacks_is_named(newsletter: Newsletter, mail: Mailbox) -> None:
    newsletter.configure(site={"from": "Papers <papers@papers-lab.org>"})
    found = states(newsletter, {})
    wrong = {name: found[name].state for name in ("spf", "dkim", "dmarc", "bounces", "smtp")}
    assert wrong == {
        "spf": CheckState.BAD,
        "dkim": CheckState.WARNING,
        "dmarc": CheckState.WARNING,
        "bounces": CheckState.BAD,
        "smtp": CheckState.OK,
    }
    assert all(found[name].fix for name, state in wrong.items() if state is not CheckState.OK)


def test_the_sentence_model_is_loaded_and_what_is_not_encoded_counted(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(**settings: str) -> CheckResult:
        newsletter.configure(ranking={"semantic": {**SETTINGS, **settings}})
        return states(newsletter, {}, offline=True)["sentence model"]

    assert "sentence model" not in states(newsletter, {}, offline=True)
    newsletter.with_sample()
    found = look(sha256=SHA256)
    assert found.state is CheckState.OK
    assert "its checksum is right; 145 of 145 papers without an encoding" in found.found
    monkeypatch.setattr(sentence_model, "_MANY", 100)
    found = look()
    assert (found.state, found.fix.partition(",")[0]) == (CheckState.WARNING, "run 'newsletter index'")
    newsletter.run("index")
    assert "ranking.semantic.sha256 is not set; 0 of 145 papers without" in look().found
    (newsletter.folder / "more.jsonl").write_text('{"title": "Looms", "abstract": "Jacquard."}')
    newsletter.run("import", "more.jsonl")
    assert "1 of 146 papers without" in look().found
    assert f"has the SHA-256 checksum {SHA256}, not" in look(sha256="0" * 64).found
    found = look(model="missing.onnx")
    assert (found.state, found.fix) == (CheckState.BAD, "write the path of the file")
    # What is not downloaded yet is not downloaded to be checked.
    found = look(model="lab/minilm", sha256=SHA256)
    assert (found.state, found.fix) == (CheckState.NOT_CHECKED, "run 'newsletter index'")
