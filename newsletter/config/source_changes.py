"""Changes of the sources in a config file: checked before they are written, and written only to the file as read."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsletter.config.loader import parse_config
from newsletter.config.settings import Config
from newsletter.config.source_entries import with_entry, without_entry
from newsletter.errors import UserError
from newsletter.support.files import atomic_write_bytes, decode_text, read_bytes

_NEW_MODE = 0o644


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A change of a config file that is not written yet; ``config`` is the configuration after it."""

    path: Path
    config: Config
    _before: bytes
    _after: bytes

    def write(self) -> None:
        """Write the file; its mode, and links to it, stay.

        Raises:
            UserError: it was changed meanwhile, or cannot be written.
        """
        if read_bytes(self.path, str(self.path)) != self._before:
            raise UserError(f"{self.path}: was changed meanwhile, so it was left alone; run the command again")
        atomic_write_bytes(self.path, self._after, _NEW_MODE)


def add_source(path: Path, name: str, values: Mapping[str, Any]) -> ConfigChange:
    """Return the change that adds a source, with its ``kind`` and other values.

    Raises:
        UserError: the file would not be valid.
    """
    before = read_bytes(path, str(path))
    return _change(path, before, with_entry(decode_text(before, str(path)), name, values, str(path)))


def remove_source(path: Path, name: str) -> ConfigChange:
    """Return the change that removes a source.

    Raises:
        UserError: the form of the file does not allow it.
    """
    before = read_bytes(path, str(path))
    return _change(path, before, without_entry(decode_text(before, str(path)), name, str(path)))


def _change(path: Path, before: bytes, text: str) -> ConfigChange:
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    config = parse_config(text, path).in_folder(path.absolute().parent)
    return ConfigChange(path, config, before, mark + text.encode())
