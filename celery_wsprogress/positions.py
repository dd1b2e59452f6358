"""Where an event stands in the log: as clients name it, and as it is compared.

An ``event_id`` is ``<epoch>.<position>.<number>``: the log's epoch, the position of the batch in
the log, and which event of the batch it is. Nothing but the log goes into it, so on a replayable
log it is the same on every sidecar. What a sidecar's fold puts before an event (a lost run that
speaks again is opened again) has that event's id with an ``r`` behind it.

Pure.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_BEFORE: Final = "r"


class Position(NamedTuple):
    """Where an event stands in the log, comparable within one epoch."""

    batch: tuple[int, ...]
    number: float
    """Which event of the batch it is, counted from 0; half of one less for what a fold puts
    before it."""


class Place:
    """Where a batch stands in the log, in the forms that its events need.

    Args:
        epoch: The log's epoch.
        epoch_number: The same, counted by the reader.
        position: Where the batch stands in the log.
    """

    __slots__ = ("epoch_number", "numbers", "prefix")

    def __init__(self, epoch: str, epoch_number: int, position: str) -> None:
        self.epoch_number = epoch_number
        self.numbers = (epoch_number, *position_numbers(position))
        """The epoch's number, and the position as numbers."""
        self.prefix = f"{epoch}.{position}."
        """What the ids of its events begin with."""

    def position(self, number: float) -> Position:
        """What histories compare, of one of its events."""
        return Position(self.numbers, number)

    def event_id(self, number: int) -> str:
        """What clients see of one of its events."""
        return f"{self.prefix}{number}"

    def id_before(self, number: int) -> str:
        """The ``event_id`` of what the fold puts before it: the same on every sidecar."""
        return f"{self.prefix}{number}{_BEFORE}"


def parse_event_id(event_id: str) -> tuple[str, Position | None]:
    """Take an ``event_id`` apart; the position is None when it is none of ours."""
    epoch, _, rest = event_id.partition(".")
    position, _, index = rest.rpartition(".")
    before = index.endswith(_BEFORE)
    try:
        number = int(index.removesuffix(_BEFORE))
        return epoch, Position(position_numbers(position), number - 0.5 if before else number)
    except ValueError:
        return epoch, None


def event_id_in(frame: bytes) -> str:
    """The ``event_id`` of an event of which there is only the frame."""
    start = frame.index(_EVENT_ID) + len(_EVENT_ID)
    return frame[start : frame.index(b'"', start)].decode()


def position_in(frame: bytes, epoch_number: int) -> Position:
    """Where an event stands of which there is only the frame.

    Args:
        frame: As it goes to the clients; its ``event_id`` is one of ours.
        epoch_number: Of the epoch of that id.
    """
    _, position = parse_event_id(event_id_in(frame))
    assert position is not None  # noqa: S101 - see above
    return position._replace(batch=(epoch_number, *position.batch))


# Inside a text of the JSON its quotes would have backslashes before them.
_EVENT_ID: Final = b'"event_id":"'


def position_numbers(position: str) -> tuple[int, ...]:
    """A position of the log as numbers that compare: ``1735734005456-0``, or ``17``.

    Raises:
        ValueError: it is no position.
    """
    return tuple(int(part) for part in position.split("-"))
