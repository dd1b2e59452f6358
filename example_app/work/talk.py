"""A very small language model: it has read docstrings, and talks on from a word as they do."""

from __future__ import annotations

import ast
import random
import warnings
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Model:
    """Which words follow each word, as often as they do."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, list[str]] = defaultdict(list)

    def read(self, path: Path) -> None:
        """Learn from the docstrings of a file."""
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
            words = (text or "").split()
            for word, follower in pairwise(words):
                self._followers[word].append(follower)

    def talk(self, word: str, words: int) -> Iterator[str]:
        """Yield so many words, the first of which is given, the same ones each time."""
        chance = random.Random(word)
        for _ in range(words):
            yield word
            word = chance.choice(self._followers.get(word) or list(self._followers))
