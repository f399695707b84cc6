"""Find the sentence model of the configuration: on disk, or downloaded once from Hugging Face."""

import re
from pathlib import Path

from newsletter.config.settings import Config, Semantic
from newsletter.errors import NewsletterError, UserError
from newsletter.ranking.encoder import Encoder, encoder_at, require_extra
from newsletter.support.text import to_single_line

_WHERE = "ranking.semantic.model"
_NAME_ON_HUGGING_FACE = re.compile(r"[\w-][\w.-]*/(?!.*\.onnx$)[\w-][\w.-]*")
_TOKENIZER = "tokenizer.json"
_MODELS = Path("var/models")


class NotDownloaded(NewsletterError):
    """The sentence model must be downloaded first."""


def configured_encoder(config: Config, download: bool = True) -> Encoder | None:
    """Return the sentence model of ``ranking.semantic``; None if it is not set.

    Args:
        download: whether it may be downloaded.

    Raises:
        UserError: see :func:`newsletter.ranking.encoder.encoder_at`.
        NotDownloaded: it was not downloaded before, and must not be now.
        NewsletterError: it cannot be downloaded.
    """
    settings = config.ranking.semantic
    if settings is None:
        return None
    require_extra(_WHERE)
    path = config.folder / Path(settings.model).expanduser()
    tokenizer = config.folder / settings.tokenizer if settings.tokenizer is not None else None
    if not path.exists() and _NAME_ON_HUGGING_FACE.fullmatch(settings.model):
        if settings.sha256 is None:
            raise UserError(
                f"{_WHERE}: there is no file or folder {path}; to download {settings.model} from Hugging Face, write "
                f"the SHA-256 checksum of its file {settings.file} as ranking.semantic.sha256"
            )
        cache = config.folder / _MODELS
        path = _downloaded(settings, settings.file, cache, download)
        tokenizer = tokenizer or _downloaded(settings, _TOKENIZER, cache, download)
    return encoder_at(path, _WHERE, tokenizer, settings.sha256)


def _downloaded(settings: Semantic, file: str, cache: Path, download: bool) -> Path:
    """Return a file of a model of Hugging Face, which is downloaded unless it was before.

    Raises:
        NotDownloaded: it was not, and must not be now. NewsletterError: it cannot be.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    def get(only_local: bool) -> Path:
        return Path(
            hf_hub_download(
                settings.model,
                file,
                revision=settings.revision,
                cache_dir=cache,
                endpoint=settings.endpoint,
                local_files_only=only_local,
            )
        )

    try:
        return get(only_local=True)
    except LocalEntryNotFoundError:
        if not download:
            raise NotDownloaded(
                f"{_WHERE}: {file} of {settings.model} is not downloaded yet; run 'newsletter index'"
            ) from None
    try:
        return get(only_local=False)
    except Exception as error:  # the library raises those of its HTTP client too
        raise NewsletterError(
            f"{_WHERE}: {file} of {settings.model} could not be downloaded from {settings.endpoint}: "
            f"{to_single_line(str(error)) or type(error).__name__}; check the name, or download the files and write "
            "their path"
        ) from None
