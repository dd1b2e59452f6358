"""Scenarios: recorded events of operations, to be played to clients again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from celery_wsprogress.protocol.events import LogEvent


def read_scenario(name: str, lines: Iterable[str]) -> Scenario:
    """Read a scenario: an event as JSON on each line, as ``watch --json`` prints them.

    Args:
        name: The file, for the error.
        lines: Its lines. Empty ones are left out.

    Raises:
        ConfigurationError: A line is no event, or there is none.
    """
    events = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            event = batches.decode_event(line.encode())
            if event is None:
                raise ConfigurationError(f"line {number} of {name}", line[:80], "an event as JSON")
            events.append(event)
    if not events:
        raise ConfigurationError("scenario", name, "a file with events, one a line")
    return Scenario(events)


class Scenario:
    """Events, and when each of them happens.

    Args:
        events: The events, in their order; at least one.
    """

    def __init__(self, events: Sequence[LogEvent]) -> None:
        self._events = events

    @property
    def operation_ids(self) -> list[str]:
        """The ids of the operations, in the order of their first events."""
        return list(dict.fromkeys(event.operation_id for event in self._events))

    def play(
        self, began: float, wait_until: Callable[[float], bool], write: Callable[[bytes], object]
    ) -> bool:
        """Write each event when it is its time, as if the scenario happened now.

        Args:
            began: When it begins, epoch seconds.
            wait_until: Waits until a time, epoch seconds; returns whether to go on.
            write: Takes an encoded event.

        Returns:
            Whether it was played to its end.
        """
        first = self._events[0].timestamp
        for event in self._events:
            # What was written down a little out of order comes at once.
            at = began + max(0.0, event.timestamp - first)
            if not wait_until(at):
                return False
            write(batches.encode_event(structs.replace(event, timestamp=at)))
        return True
