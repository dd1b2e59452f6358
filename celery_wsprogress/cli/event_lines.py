"""Format events as lines of text, for :class:`.Printer`.

Pure. Control characters in texts of tasks are escaped, so that an event is always one line and
nothing moves the cursor.
"""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.cli.colors import plain
from celery_wsprogress.cli.phase_bar import running_phase
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.events import LATEST, LIFE_CYCLE, RETRYING, SCHEDULED
from celery_wsprogress.protocol.workflow_ids import is_workflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.cli.colors import Paint

    Event = Mapping[str, Any]

MAX_RESULT: Final = 2_000
"""Characters of a result that are shown; ``--json`` shows all."""

LABEL_WIDTH: Final = 10
"""Columns of the word that says what happened."""
_UUID_LENGTH: Final = 36
_MAX_NAME_LENGTH: Final = 24


def event_line(event: Event, name: str = "", paint: Paint = plain) -> str:
    """Return the line of an event: time, name of the operation if there is one, what happened.

    Args:
        event: The event.
        name: The name of the operation, if there are several.
        paint: Colours the word that says what happened.
    """
    word, text = _describe(event)
    label = f"{name}  " if name else ""
    shown = paint(word, word) + " " * (LABEL_WIDTH - len(word))
    return f"{clock(event.get('timestamp', 0.0))}  {label}{shown} {text}".rstrip()


def countdown_line(event: Event, now: float, name: str = "") -> str:
    """Return the line of an operation that waits, to be rewritten in place; empty once it is due.

    Args:
        event: Its latest event.
        now: Epoch seconds.
        name: The name of the operation, if there are several. It stands in the place of the time.
    """
    data = event.get("data") or {}
    starts_at, word = data.get("starts_at"), data.get("status")
    if not isinstance(starts_at, (int, float)) or not now < starts_at <= LATEST:
        return ""
    starts = "starts again" if word == RETRYING else "starts"
    left = duration(math.ceil(starts_at - now))
    shown = escape_control(str(word))
    return f"{name or clock(now)}  {shown:<{LABEL_WIDTH}} {starts} in {left}"


def _describe(event: Event) -> tuple[str, str]:
    kind, data = str(event.get("event_type", "")), event.get("data") or {}
    describe = _KINDS.get(kind)
    word, text = describe({**event, **data}) if describe else (kind, _compact(data))
    return escape_control(word), escape_control(text)


def _status(data: Event) -> tuple[str, str]:
    word, message = str(data.get("status", "")), str(data.get("message", ""))
    attempt = data.get("attempt") or 1
    limit, timestamp = data.get("max_attempts"), float(data.get("timestamp", 0.0))
    starts_at, expires_at = data.get("starts_at"), data.get("expires_at")
    if word != SCHEDULED:
        starts_at = None
    more = [
        f"on {data['worker']}" if word == "started" and data.get("worker") else "",
        f"attempt {attempt} of {limit}" if limit else "",
        f"attempt {attempt}" if not limit and word != RETRYING and attempt > 1 else "",
        f"again in {duration(data['retry_in'])}" if data.get("retry_in") is not None else "",
        f"starts in {duration(starts_at - timestamp)}" if starts_at is not None else "",
        f"at {_moment(starts_at, timestamp)}" if starts_at is not None else "",
        f"expires at {_moment(expires_at, timestamp)}" if expires_at is not None else "",
    ]
    what = ": ".join(filter(None, [str(data.get("operation_type") or ""), message]))
    text = _append(what, more)
    if word in LIFE_CYCLE:
        return word, text
    return "status", f"{word}: {text}" if text else word


def _progress(data: Event) -> tuple[str, str]:
    return progress_word(data), _append(str(data.get("message", "")), progress_figures(data))


def progress_word(data: Event) -> str:
    """Return the percentage of a progress event, from its data."""
    return "...%" if data.get("indeterminate") else f"{percent(data):3d}%"


def progress_figures(data: Event) -> list[str]:
    """Return what stands behind the message of progress: phase, figures and steps.

    Args:
        data: The data of the event, with its ``operation_id``.
    """
    return [one for one in [running_phase(data), *figures(data), *_steps(data)] if one]


def _steps(data: Event) -> list[str]:
    """Return how many steps of a workflow are over, and which one reported last."""
    details = data.get("details")
    if not is_workflow(str(data.get("operation_id"))) or not isinstance(details, dict):
        return []
    over = int(details.get("completed", 0)) + int(details.get("failed", 0))
    return [f"{over:,} of {int(details.get('total', 0)):,} steps", str(details.get("step") or "")]


def _error(data: Event) -> tuple[str, str]:
    word = "cancelled" if data.get("status") == "cancelled" else "error"
    return word, f"{data.get('error_type', '')}: {data.get('error', '')}"


def _completed(data: Event) -> tuple[str, str]:
    took = f"in {duration(data['duration'])}" if "duration" in data else ""
    return "completed", _append(took, ["ignored"] if data.get("ignored") else [])


def _result(data: Event) -> tuple[str, str]:
    cut = " (cut)" if data.get("truncated") else ""
    return "result", _shortened(_compact(data.get("result")), MAX_RESULT) + cut


def _snapshot(data: Event) -> tuple[str, str]:
    """Describe a snapshot: how many events were missed, and the present state."""
    operation, missed = data.get("operation") or {}, data.get("missed")
    events = "some events" if missed is None else f"{missed:,} events"
    text = f"{events} that are not held any more; now {operation.get('status', '')}"
    return "missed", _append(text, [f"{percent(operation)}%", str(operation.get("message") or "")])


def _chunk(data: Event) -> tuple[str, str]:
    text = data.get("chunk")
    if data.get("closed"):
        return str(data.get("stream")), "(closed)"
    return str(data.get("stream")), text if isinstance(text, str) else _compact(text)


_KINDS: Final = {
    "status": _status,
    "progress": _progress,
    "log": lambda data: (str(data.get("level", "log")), str(data.get("message", ""))),
    "chunk": _chunk,
    "result": _result,
    "completed": _completed,
    "error": _error,
    "snapshot": _snapshot,
}


def percent(data: Event) -> int:
    """Return the progress in whole percent, rounded down: only a finished one is 100."""
    # In floating point 0.29 * 100 is a little less than 29.
    return int(float(data.get("progress", 0.0)) * 100 + 1e-9)


def figures(data: Event) -> list[str]:
    """Return what is known of ``250 of 1,000 rows``, ``120 rows/s`` and ``6 s left``."""
    unit, total = data.get("unit") or "", data.get("total")
    found = []
    if data.get("current") is not None:
        of = "" if total is None else f" of {total:,}"
        found.append(f"{data['current']:,}{of} {unit}".rstrip())
        if data.get("rate"):
            found.append(f"{data['rate']:,.3g} {unit}/s".replace(" /", "/"))
    if data.get("eta") is not None:
        found.append(f"{duration(data['eta'])} left")
    return found


def duration(seconds: float) -> str:
    """Return a number of seconds as ``2.1 s``, ``1 min 5 s``, ``2 h 3 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def clock(timestamp: float) -> str:
    """Return the local time of day of an event."""
    return f"{datetime.fromtimestamp(timestamp, UTC).astimezone():%H:%M:%S}"


def _moment(timestamp: float, today: float) -> str:
    """Return the local time of day, with the date where that is another one than ``today``'s."""
    at, now = (datetime.fromtimestamp(one, UTC).astimezone() for one in (timestamp, today))
    return clock(timestamp) if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def short_names(ids: Iterable[str]) -> dict[str, str]:
    """Return a short name for each operation; the whole id where two would have the same."""
    all_ids = list(dict.fromkeys(ids))
    short = {one: short_name(one) for one in all_ids}
    names = list(short.values())
    return {
        one: name if names.count(name) == 1 else escape_control(one) for one, name in short.items()
    }


def short_name(operation_id: str) -> str:
    """Return the first part of a UUID, or the beginning of any other id."""
    if len(operation_id) == _UUID_LENGTH and operation_id.count("-") == 4:
        return operation_id.partition("-")[0]
    return escape_control(_shortened(operation_id, _MAX_NAME_LENGTH))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def truncate_to_width(text: str, columns: int) -> str:
    """Return as much of the text as fits into so many columns of a terminal."""
    room = columns
    for index, one in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(one) in "WF" else 1
        if room < 0:
            return text[:index]
    return text


def table(rows: Iterable[tuple[str, object]]) -> list[str]:
    """Return lines of two columns, names and values; integers only are aligned to the right."""
    shown = [(escape_control(name), _cell(value), type(value) is int) for name, value in rows]
    wide = max((len(name) for name, _, _ in shown), default=0)
    right = max((len(text) for _, text, _ in shown), default=0)
    if not all(number for _, _, number in shown):
        right = 0
    return [f"{name:<{wide}}  {text:>{right}}" for name, text, _ in shown]


def _cell(value: object) -> str:
    if type(value) is int:
        return f"{value:,}"
    return escape_control(value if isinstance(value, str) else _compact(value))


def _append(text: str, more: Iterable[str]) -> str:
    """Append the other parts in parentheses, if there are any."""
    joined = ", ".join(filter(None, more))
    return f"{text} ({joined})".strip() if joined else text


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
