"""The kit: what another host must have before it makes messages, and what of it leaves this one."""

import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from newsletter.errors import UserError
from newsletter.services.context import open_context
from newsletter.services.due_subscribers import active_batches
from newsletter.services.edition_worker import create_edition_worker
from newsletter.services.host_check import HostFingerprint, host_fingerprint, verify_host
from newsletter.services.ranking_snapshot import build_snapshot, rated_papers, to_payload
from newsletter.support.clock import frozen_clock, parse_moment
from tests.helpers.images import image
from tests.helpers.newsletter import NOW, Newsletter
from tests.helpers.sentence_model import SETTINGS, TOKENIZER


def write_template(newsletter: Newsletter) -> None:
    (newsletter.folder / "templates").mkdir()
    (newsletter.folder / "templates" / "digest.txt").write_text("other words\n")


@pytest.mark.parametrize(
    ("change", "as_said", "told"),
    [
        (lambda newsletter: None, {}, None),
        (write_template, {}, r"the templates differ from those of \S+; copy \S+/templates$"),
        (lambda newsletter: None, {"key": "other"}, r"the signing key differs from that of \S+; set the same"),
        (
            lambda newsletter: None,
            {"programs": "newsletter 0"},
            r"the versions are newsletter .*; on \S+ they are newsletter 0; install",
        ),
        (
            lambda newsletter: None,
            {"sentence_model": "other"},
            r"the sentence model or its tokenizer differs from that of \S+; copy both",
        ),
        (
            lambda newsletter: None,
            {"machine": "other"},
            "the store of .* is unavailable, since SQLite works on one host only",
        ),
        (lambda newsletter: (newsletter.folder / "var" / "secret.key").unlink(), {}, r"secret\.key: .*each host needs"),
        (lambda newsletter: shutil.rmtree(newsletter.folder), {}, r"\S+ is missing; put the newsletter's folder"),
    ],
    ids=["the same", "templates", "key", "program", "sentence model", "store", "no key", "no folder"],
)
def test_a_host_that_would_make_other_messages_says_why(
    newsletter: Newsletter, change: Callable[[Newsletter], None], as_said: dict[str, str], told: str | None
) -> None:
    newsletter.run("subscribers", "list")
    config = newsletter.config
    key = (newsletter.folder / "var" / "secret.key").read_text().strip()
    wanted: HostFingerprint = replace(host_fingerprint(config, key), **as_said)
    change(newsletter)
    if told is None:
        verify_host(config, wanted)
        return
    with pytest.raises(UserError, match=f"^engine: on the host .*{told}"):
        verify_host(config, wanted)
    assert newsletter.folder.exists() is ("is missing" not in told)
    # A key that is not there is not made: links signed with it would lead nowhere.
    assert (newsletter.folder / "var" / "secret.key").exists() is ("secret" not in told and "is missing" not in told)


def test_a_host_without_the_sentence_model_says_so(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    newsletter.configure(ranking={"semantic": {**SETTINGS, "tokenizer": "tokenizer.json"}})
    shutil.copy(TOKENIZER, newsletter.folder / "tokenizer.json")
    newsletter.run("subscribers", "list")
    config = newsletter.config
    wanted = host_fingerprint(config, (newsletter.folder / "var" / "secret.key").read_text().strip())
    verify_host(config, wanted)
    (newsletter.folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"^engine: on the host .*ranking\.semantic.*tokenizer\.json: No such file"):
        verify_host(config, wanted)
    # Python treats a module with this entry as one that is not installed.
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"^engine: on the host .* needs onnxruntime; run: pip install"):
        verify_host(config, wanted)


def test_no_secret_is_handed_to_other_hosts(
    newsletter: Newsletter, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ["the key that signs links", "a password in the environment", "a password in a file"]
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", secrets[0])
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", secrets[1])
    (newsletter.folder / "password").write_text(secrets[2])
    (newsletter.folder / "password").chmod(0o600)
    newsletter.configure(smtp={"user": "papers", "password_file": "password"})
    newsletter.with_sample().run("subscribers", "list")
    context = open_context(newsletter.config, frozen_clock(parse_moment(NOW)))
    field = build_snapshot(context)
    assert field is not None
    (batch,) = active_batches(context)
    make = partial(
        create_edition_worker, context.config, context.clock, None, host_fingerprint(context.config, context.links.key)
    )
    handed = pickle.dumps(
        (make, to_payload(field), replace(batch, rated=rated_papers(context, field.index, batch.editions)))
    )
    assert b"newsletter.services.edition_worker" in handed
    # Nor is anything of a reader: who works at a block reads in the store who is in it.
    assert [one for one in (*secrets, reader) if one.encode() in handed] == []


def test_a_host_with_another_logo_says_so(newsletter: Newsletter) -> None:
    logo = newsletter.folder / "logo.png"
    logo.write_bytes(image(size=(200, 96)))
    newsletter.configure(brand={"logo": "logo.png"})
    newsletter.run("subscribers", "list")
    config, key = newsletter.config, (newsletter.folder / "var" / "secret.key").read_text().strip()
    wanted = host_fingerprint(config, key)
    verify_host(config, wanted)
    logo.write_bytes(image(size=(100, 48)))
    with pytest.raises(UserError, match=r"the logo differs from that of \S+; copy \S+/logo\.png$"):
        verify_host(config, wanted)
    logo.unlink()
    with pytest.raises(UserError, match=r"the logo differs from that of \S+; copy \S+/logo\.png$"):
        verify_host(config, wanted)
