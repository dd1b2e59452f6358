"""Event ids, and the positions in the log that they stand for.

An ``event_id`` is ``<epoch>.<position>.<index>``: the epoch of the log, the position of the batch
in the log, and the index of the event in the batch. It depends only on the log, so every sidecar
gives an event the same id. If a run that was presumed lost reports again, the sidecar sends an
event of its own before that report; it has the id of the report with the suffix ``r``. What an
event of a task does to its workflow is an event with the same id and the suffix ``w``.

Ids also come back from clients, so every part has a bound, and a text that exceeds one is no id.

Pure.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from celery_wsprogress.protocol.whole_numbers import DIGITS

SYNTHETIC_SUFFIX: Final = "r"
"""The suffix of the id of an event that the sidecar made, and that is not in the log."""

DERIVED_SUFFIX: Final = "w"
"""The suffix of the id of an event of a workflow, behind that of the event that it comes from."""

MAX_DERIVED: Final = 3
"""Maximum number of these suffixes: a workflow may be a step of another one."""

MAX_EPOCH_LENGTH: Final = 16
"""Maximum number of characters of an epoch."""

_MOST_DERIVED: Final = DERIVED_SUFFIX * MAX_DERIVED

_EPOCH: Final = rf"[0-9A-Za-z]{{1,{MAX_EPOCH_LENGTH}}}"
_POSITION: Final = f"{DIGITS}(?:-{DIGITS})?"

_is_epoch: Final = re.compile(_EPOCH).fullmatch
_is_position: Final = re.compile(_POSITION).fullmatch
_SUFFIXES: Final = rf"({SYNTHETIC_SUFFIX}?)({DERIVED_SUFFIX}{{0,{MAX_DERIVED}}})"
_match: Final = re.compile(rf"({_EPOCH})\.({_POSITION})\.({DIGITS}){_SUFFIXES}").fullmatch


class LogPosition(NamedTuple):
    """The position of an event in the log. Positions compare as the log is ordered."""

    batch: tuple[int, ...]
    """The number of the epoch and the position of the batch, as numbers."""
    event: float
    """Index of the event in its batch, from 0. An event that the sidecar made before that has the
    index less one half; one that follows from it, an eighth more for each suffix ``w``."""


class BatchPosition:
    """The position of a batch in the log, in the forms that its events need.

    Args:
        epoch: The epoch of the log.
        epoch_number: The number that the reader gave the epoch.
        position: The position of the batch, as the broker writes it.
    """

    __slots__ = ("epoch_number", "numbers", "prefix")

    def __init__(self, epoch: str, epoch_number: int, position: str) -> None:
        self.epoch_number = epoch_number
        self.numbers = (epoch_number, *parse_position(position))
        """``batch`` of the :class:`LogPosition` of its events."""
        self.prefix = f"{epoch}.{position}."
        """The beginning of the ids of its events."""

    def of_event(self, index: float) -> LogPosition:
        """Return the position of one event of the batch."""
        return LogPosition(self.numbers, index)

    def event_id(self, index: int) -> str:
        """Return the id of one event of the batch."""
        return f"{self.prefix}{index}"


def derived_event_id(event_id: str) -> str:
    """Return the id of an event of a workflow that follows from the event with this id."""
    return event_id if event_id.endswith(_MOST_DERIVED) else event_id + DERIVED_SUFFIX


def parse_event_id(event_id: str) -> tuple[str, LogPosition] | None:
    """Split an event id into the epoch and the position; None if it is not one of ours."""
    found = _match(event_id)
    if found is None:
        return None
    epoch, position, index, synthetic, derived = found.groups()
    number = int(index) - 0.5 * len(synthetic) + 0.125 * len(derived)
    return epoch, LogPosition(parse_position(position), number)


def event_id_of_frame(frame: bytes) -> str:
    """Return the event id in an encoded frame."""
    start = frame.index(_EVENT_ID) + len(_EVENT_ID)
    return frame[start : frame.index(b'"', start)].decode()


def position_of_frame(frame: bytes, epoch_number: int) -> LogPosition:
    """Return the position of the event in a frame of ours; its epoch has this number."""
    parsed = parse_event_id(event_id_of_frame(frame))
    assert parsed is not None  # noqa: S101 - see above
    _, position = parsed
    return position._replace(batch=(epoch_number, *position.batch))


# Inside a JSON string these quotes would be escaped, so the first match is the field itself.
_EVENT_ID: Final = b'"event_id":"'


def is_epoch(text: str) -> bool:
    """Return whether a text may be an epoch, and so a part of an event id."""
    return _is_epoch(text) is not None


def parse_position(position: str) -> tuple[int, ...]:
    """Parse a position of the log, such as ``1735734005456-0`` or ``17``, into numbers.

    Raises:
        ValueError: it is not a position.
    """
    if _is_position(position) is None:
        raise ValueError("this is no position of a log")
    return tuple(int(part) for part in position.split("-"))
