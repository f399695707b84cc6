"""The check of the mail providers' webhooks, and the errors in their settings."""

import pytest

from newsletter.doctor.result import CheckState
from newsletter.doctor.webhooks import provider
from newsletter.errors import UserError
from tests.helpers import provider_posts as posts
from tests.helpers.newsletter import Newsletter


def test_each_provider_needs_its_secret_and_tls(newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch) -> None:
    newsletter.configure(webhooks=posts.settings())
    for name in ("ses", "sendgrid"):
        assert provider(name, newsletter.config).state is CheckState.OK
    for name, variable in zip(("mailgun", "postmark", "brevo"), posts.SECRETS, strict=True):
        with pytest.raises(UserError, match=rf"webhooks\.providers\.{name}: no secret, .*; set {variable} or "):
            provider(name, newsletter.config)
        monkeypatch.setenv(variable, "a secret")
        found = provider(name, newsletter.config)
        assert (found.name, found.state) == (f"webhook {name}", CheckState.OK)
        assert f"https://papers.example.org/webhooks/{name}" in found.found
    newsletter.configure(site={"url": "http://papers.example.org"})
    assert provider("ses", newsletter.config).state is CheckState.WARNING
    rows = newsletter.run("doctor", "--offline", "--json", code=None).rows
    assert {row["name"] for row in rows if row["name"].startswith("webhook ")} == {
        f"webhook {name}" for name in posts.BUILDERS
    }


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ({"ses": {"topic_arn": "arn:aws:sqs:eu-west-1:123456789012:q"}}, "is not the ARN of an SNS topic"),
        ({"ses": {}}, "webhooks.providers.ses.topic_arn: missing"),
        ({"sendgrid": {"public_key": "MFkw"}}, "is not an ECDSA public key"),
        ({"mailgun": {"signing_key": "geheim-1"}}, "set NEWSLETTER_MAILGUN_SIGNING_KEY or signing_key_file"),
        ({"brevo": {"token": "geheim-1"}}, "set NEWSLETTER_BREVO_WEBHOOK_TOKEN or token_file"),
        ({"sendgird": {"public_key": "MFkw"}}, "did you mean 'sendgrid'?"),
    ],
)
def test_wrong_settings(newsletter: Newsletter, providers: dict[str, object], words: str) -> None:
    newsletter.configure(webhooks={"providers": providers})
    with pytest.raises(UserError) as raised:
        _ = newsletter.config
    assert words in str(raised.value)
    assert "geheim" not in str(raised.value)
