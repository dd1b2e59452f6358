"""The numbers of ``update_progress``, read as a fraction. Pure; called by :mod:`.tracker`.

Numbers may be of any type that ``float()`` accepts. Odd ones are errors in the data: they get a
warning that names the call which was probably meant. Anything else is an error in the program, and
a ``TypeError``.
"""

from __future__ import annotations

import math
import operator
from enum import Enum
from typing import Any, NamedTuple

from celery_wsprogress.guard import class_name, has_type, must_propagate
from celery_wsprogress.protocol import jsonable


class UsageWarning(Enum):
    """A warning about the arguments, logged once a run; the value is its text."""

    PROGRESS_RANGE = (
        "progress goes from 0.0 to 1.0, not to {progress}; for {progress} % write "
        "update_progress({percent}), for {progress} of a total "
        "update_progress(current={progress}, total=...)"
    )
    POSITIONAL_TOTAL = (
        "the second argument of update_progress is the message; for {progress} of {message} "
        "write update_progress(current={progress}, total={message})"
    )
    NOT_FINITE = (
        "NaN and infinity are no progress; if the total is not known, write "
        "update_progress() or update_progress(current=...)"
    )
    CURRENT_RANGE = (
        "current goes from 0 to total, but current={current} and total={total}; "
        "write update_progress(current=<done so far>, total=<all there is to do>)"
    )


class ProgressArgs(NamedTuple):
    """The arguments of one call, cleaned."""

    fraction: float | None
    """0.0 to 1.0; None is indeterminate."""
    current: float | int | None
    total: float | int | None
    warnings: tuple[UsageWarning, ...]


def parse_progress(progress: Any, message: Any, current: Any, total: Any) -> ProgressArgs:
    """Read the numbers of one call.

    ``progress`` wins over ``current / total``. A fraction out of range is clamped; NaN, infinity
    and a total that is not positive are indeterminate.

    Raises:
        TypeError: one of them is not a number (nor are ``bool`` and texts).
    """
    warnings: list[UsageWarning] = []
    fraction = number("progress", progress)
    done, everything = number("current", current), number("total", total)
    if progress is not None and (type(message) is int or type(message) is float):
        warnings.append(UsageWarning.POSITIONAL_TOTAL)
    if any(map(_is_infinite, (fraction, done, everything))):
        warnings.append(UsageWarning.NOT_FINITE)
    done, everything = _finite(done), _finite(everything)
    everything = everything if everything is not None and everything > 0 else None
    if fraction is not None:
        fraction = _clamped(_finite(fraction), warnings, UsageWarning.PROGRESS_RANGE)
    elif done is not None and everything is not None:
        fraction = _clamped(_ratio(done, everything), warnings, UsageWarning.CURRENT_RANGE)
    return ProgressArgs(fraction, done, everything, tuple(warnings))


def number(name: str, value: Any) -> float | int | None:
    """Return a number as ``int`` or ``float``; whole numbers stay whole, None stays None.

    Raises:
        TypeError: it is not a number.
    """
    if value is None or type(value) is float:
        return value
    kind = class_name(value)
    if kind not in {"bool", "bool_"} and not has_type(value, (str, bytes, bytearray)):
        for convert in (_whole, float):
            try:
                return convert(value)
            except OverflowError:
                return math.inf
            except Exception as exc:
                if must_propagate(exc):
                    raise
    # Only its class: the value may be a secret argument of the task.
    raise TypeError(f"{name} must be a number, not {kind}")


def _whole(value: Any) -> float | int:
    # JSON numbers in a browser are doubles, which are exact up to 2**53 (RFC 8259, section 6).
    whole = int(operator.index(value))
    return whole if abs(whole) <= 2**53 else float(whole)


def _is_infinite(value: float | None) -> bool:
    return value is not None and not math.isfinite(value)


def _finite(value: float | None) -> float | int | None:
    return None if _is_infinite(value) else value


def _ratio(done: float, everything: float) -> float:
    ratio = done / everything
    return ratio if math.isfinite(ratio) else math.copysign(2.0, done)


def _clamped(
    fraction: float | None, warnings: list[UsageWarning], beyond: UsageWarning
) -> float | None:
    if fraction is None:
        return None
    if not 0.0 <= fraction <= 1.0 and UsageWarning.POSITIONAL_TOTAL not in warnings:
        warnings.append(beyond)
    return min(1.0, max(0.0, float(fraction)))


def format_warning(warning: UsageWarning, **arguments: Any) -> str:
    """Return the text of a warning.

    Args:
        warning: The warning.
        arguments: ``progress``, ``message``, ``current`` and ``total`` as they were passed.
    """
    percent = number("progress", arguments["progress"])
    shown = 0.5 if percent is None else min(1.0, max(0.0, percent / 100))
    texts = {name: jsonable.to_text(value, 100) for name, value in arguments.items()}
    return warning.value.format(**texts, percent=f"{shown:g}")
