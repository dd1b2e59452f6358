"""Values as a stranger may send them, drawn from a :class:`random.Random`.

Most are nearly right, since what is wrong altogether is refused by the first check. All randomness
comes from the generator that is passed in, so a seed repeats every input.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

OPERATIONS = [f"op-{number}" for number in range(8)]

#: In all that the view ``progress`` hides of an operation, and in nothing else that is drawn.
CANARY = "canary"

TEXTS = [
    "", "*", "a", "%", "\x00", "\x1b[31m", "\n", "é", "²", "٣", "😀", "\u202e",
    "x" * 201, "x" * 1_001, "null", "__proto__", "../..", "%2e%2e", "'\"<>&", "r",
]  # fmt: skip

NUMBERS = [
    0, 1, -1, 2, 999, 1_000, 1_001, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 10**400,
    -(10**400), 0.0, -0.0, 0.5, 1.0, 0.01, 0.009, 1e11, 1e12, 1e308, -1e308, 1e-320, 5e-324,
]  # fmt: skip

#: What UTF-8 cannot hold.
NO_TEXTS = ["\ud800", "\udcff", "a\udfff"]

#: What Python's JSON writes, though it is none.
NO_NUMBERS = [float("nan"), float("inf"), float("-inf")]

GLOBS = [
    "proj.*", "*", "?", "[", "[!", "[b-a]", "[]]", "*" * 200, "*a" * 100, "*?" * 100, "[a-z]*" * 33,
    "[" * 200, "*" * 201, "(a+)+$", "\\", "é*",
]  # fmt: skip

PIECES = ["é", "\ud83d", "\\", '"', "{", "}", "[", "]", ",", ":", ".", "-", "9" * 30, "e", "\x00"]


def some(rng: Random, pool: Sequence[Any]) -> Any:
    """One of them."""
    return pool[rng.randrange(len(pool))]


def one_of(rng: Random, *makers: Callable[[Random], Any]) -> Any:
    """A value of one of the makers."""
    return some(rng, makers)(rng)


def text(rng: Random) -> str:
    """A text that is long, empty, or of odd characters."""
    kind = rng.random()
    if kind < 0.01:
        return some(rng, NO_TEXTS)
    if kind < 0.7:
        return some(rng, TEXTS)
    return "".join(chr(rng.randrange(0x2FF)) for _ in range(rng.randrange(12)))


def number(rng: Random) -> float:
    """A number at an edge, or any."""
    if rng.random() < 0.03:
        return some(rng, NO_NUMBERS)
    return some(rng, NUMBERS) if rng.random() < 0.8 else rng.uniform(-1e6, 1e6)


def value(rng: Random, depth: int = 3) -> Any:
    """Any value of JSON, and those that Python's JSON has besides."""
    kind = rng.randrange(8 if depth else 5)
    if kind < 2:
        return text(rng)
    if kind < 4:
        return number(rng)
    if kind == 4:
        return some(rng, [None, True, False])
    if kind < 7:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def operation_id(rng: Random) -> Any:
    """An id that is held, an unknown one, everything, or no id."""
    kind = rng.random()
    if kind < 0.75:
        return some(rng, OPERATIONS)
    return one_of(rng, lambda _: "*", lambda _: "unheard", text, value)


def event_id(rng: Random) -> Any:
    """An event id that is right, nearly right, or anything."""
    if rng.random() < 0.1:
        return value(rng)
    epoch = some(rng, ["e1", "e2", "e9", "", "é", "e" * 17])
    parts = [some(rng, ["0", "1", "5", "17", "99", "²", "-1", "9" * 21, "1" * 400])]
    parts += ["0"] * some(rng, [0, 1, 1, 1, 2, 30_000 if rng.random() < 0.02 else 3])
    index = some(rng, ["0", "1", "7", "x", "9" * 400, "٣", ""])
    return f"{epoch}.{'-'.join(parts)}.{index}{some(rng, ['', '', 'r', 'rr'])}"


def dump(rng: Random, found: Any) -> str:
    """The JSON of a value, now and then broken."""
    written = json.dumps(found, ensure_ascii=rng.random() < 0.7)
    return broken(rng, written) if rng.random() < 0.06 else written


def broken(rng: Random, written: str) -> str:
    """A text with a few pieces removed, doubled, exchanged or put in."""
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(written) + 1)
        end = min(len(written), at + rng.randrange(1, 9))
        kind = rng.randrange(5)
        if kind == 0:
            written = written[:at] + written[end:]
        elif kind == 1:
            written = written[:end] + written[at:]
        elif kind == 2:
            written = written[:at] + some(rng, PIECES) + written[end:]
        elif kind == 3:
            written = written[:at] + some(rng, PIECES) * some(rng, [1, 2, 500]) + written[at:]
        else:
            written = written[:at] + chr(rng.randrange(1, 0x500)) + written[end:]
    return written


def sent(written: str) -> str:
    """The text as it comes out of a text frame, which is UTF-8."""
    return written.encode(errors="replace").decode()


def mapping(rng: Random, fields: dict[str, Callable[[Random], Any]], chance: float) -> Any:
    """An object with some of the fields; now and then a field of another kind, or one more."""
    found: dict[str, Any] = {
        name: make(rng) if rng.random() < 0.9 else value(rng)
        for name, make in fields.items()
        if rng.random() < chance
    }
    if rng.random() < 0.05:
        found[text(rng)] = value(rng)
    return found
