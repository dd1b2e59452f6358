"""Globs, as :mod:`fnmatch` has them, for patterns of clients.

:func:`fnmatch.fnmatchcase` keeps 32,768 compiled patterns (CPython 3.11, Lib/fnmatch.py): with long
ones that is 80 MB, which clients could fill.

Pure.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_COMPILED: Final = 500
"""Maximum number of compiled patterns that are kept: 1.3 MB with the longest."""


def matches_glob(text: str, pattern: str) -> bool:
    """Return whether a text matches a glob: ``*``, ``?``, ``[…]`` and ``[!…]``."""
    return _compile(pattern)(text) is not None


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """Return :func:`matches_glob` for one pattern, whose compiled form the caller keeps."""
    match = re.compile(translate(pattern)).match
    return lambda text: match(text) is not None


@lru_cache(maxsize=MAX_COMPILED)
def _compile(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(translate(pattern)).match
