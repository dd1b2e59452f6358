"""What one check has found out. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class CheckVerdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something will be missed."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be tried, because another one failed."""


class Finding(NamedTuple):
    """What one check has found out."""

    part: str
    """What was looked at, in a word or two."""
    verdict: CheckVerdict
    text: str
    """What was found. It may hold text of any server, so it is escaped before it is shown."""
    advice: str = ""
    """What to do about it."""


def ok(part: str, text: str) -> Finding:
    """Return the finding that something works."""
    return Finding(part, CheckVerdict.OK, text)


def warning(part: str, text: str, advice: str = "") -> Finding:
    """Return the finding that something works, but not all of it."""
    return Finding(part, CheckVerdict.WARNING, text, advice)


def failed(part: str, text: str, advice: str = "") -> Finding:
    """Return the finding that something does not work."""
    return Finding(part, CheckVerdict.FAILED, text, advice)


def skipped(part: str, text: str) -> Finding:
    """Return the finding that something could not be tried."""
    return Finding(part, CheckVerdict.SKIPPED, text)
