"""Check of the sentence model, by which papers are ranked by meaning."""

from sqlalchemy import Engine

from newsletter.config.settings import Config
from newsletter.doctor.result import CheckResult, CheckSkipped, ok, warning
from newsletter.services.encodings import count_missing
from newsletter.services.sentence_model import NotDownloaded, configured_encoder

_MANY = 2_000
"""Papers to encode for which the next edition waits half a minute or longer."""


def sentence_model(config: Config, engine: Engine) -> CheckResult:
    """Check that the sentence model can be used, and how many papers are still to be encoded.

    Raises:
        UserError: it cannot be used. CheckSkipped: it is not downloaded yet.
    """
    name, settings = "sentence model", config.ranking.semantic
    try:
        encoder = configured_encoder(config, download=False)
    except NotDownloaded as error:
        raise CheckSkipped(*error.lines) from None
    if settings is None or encoder is None:
        return ok(name, "none: papers are ranked without it")
    missing, number = count_missing(config, engine, encoder)
    checksum = "its checksum is right" if settings.sha256 is not None else "ranking.semantic.sha256 is not set"
    text = f"{settings.model}: {checksum}; {missing:,} of {number:,} papers without an encoding"
    if missing > _MANY:
        return warning(name, text, "run 'newsletter index', otherwise the next edition waits for them")
    return ok(name, text)
