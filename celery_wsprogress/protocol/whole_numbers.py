"""Whole numbers in texts of clients and brokers.

``int`` reads the digits of every script, signs, spaces and underscores, and raises for very many
digits; ``float`` overflows. So each number in a text is read by this one rule.

Pure.
"""

from __future__ import annotations

import re
from typing import Final

MAX_DIGITS: Final = 20
"""Maximum number of digits: those of the largest number of 64 bits."""

DIGITS: Final = rf"[0-9]{{1,{MAX_DIGITS}}}"
"""A regular expression for a whole number."""

_match: Final = re.compile(DIGITS).fullmatch


def parse_whole_number(text: str) -> int | None:
    """Return the number that ASCII digits stand for; None if the text is anything else."""
    return int(text) if _match(text) else None
