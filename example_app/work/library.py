"""The Python standard library as it is installed: input that every machine has."""

from __future__ import annotations

import ast
import io
import sysconfig
import tokenize
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What was installed later, and the tests of Python itself: more than all the rest, and broken here
#: and there on purpose.
_ELSEWHERE = {"site-packages", "dist-packages", "test", "tests", "idle_test"}

_UNREADABLE = (SyntaxError, ValueError, RecursionError, tokenize.TokenError)


class Hit(NamedTuple):
    """A place where a word stands."""

    line: int
    kind: str
    """``code``, ``comment`` or ``text``."""
    text: str


def root() -> Path:
    """Return the folder of the standard library."""
    return Path(sysconfig.get_path("stdlib"))


def source_files() -> list[Path]:
    """Return every Python file of the standard library, sorted; its own tests are left out."""
    top = root()
    return sorted(
        path
        for path in top.rglob("*.py")
        if not _ELSEWHERE.intersection(path.relative_to(top).parts)
    )


def count(path: Path) -> Counter[str]:
    """Parse one file and count its lines, classes, functions and imports."""
    source = path.read_bytes()
    totals = Counter(files=1, lines=source.count(b"\n"))
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except _UNREADABLE:
        return totals + Counter(unreadable=1)
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef():
                totals["classes"] += 1
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                totals["functions"] += 1
            case ast.Import() | ast.ImportFrom():
                totals["imports"] += 1
    return totals


def hits(path: Path, word: str) -> Iterator[Hit]:
    """Read one file token by token and yield the lines where the word stands, and as what."""
    try:
        with tokenize.open(path) as file:
            source = file.read()
        lines = source.split("\n")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            for n, part in enumerate(token.string.split("\n"), token.start[0]):
                if word in part:
                    yield Hit(n, _kind(token), lines[n - 1].strip()[:120])
    except _UNREADABLE:
        return


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.COMMENT:
        return "comment"
    return "code" if token.type in {tokenize.NAME, tokenize.NUMBER, tokenize.OP} else "text"
