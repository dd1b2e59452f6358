"""Files that hold a URL with a password, so that it is not in the list of processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from celery_wsprogress.errors import ConfigurationError

MAX_FILE_BYTES: Final = 10_000

_ALLOWED: Final = "a file that can be read and holds one URL"


def read_url(setting: str, path: str) -> str:
    """Return the URL in a file, without the blanks around it.

    Args:
        setting: The name of the setting that names the file, for errors.
        path: The file.

    Raises:
        ConfigurationError: it cannot be read, or holds no text or several lines. What it holds is
            not quoted.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES).decode().strip()
    except (OSError, ValueError):
        raise ConfigurationError(setting, path, _ALLOWED) from None
    if not text or len(text.splitlines()) != 1:
        raise ConfigurationError(setting, path, _ALLOWED)
    return text
