"""``docs/explanation/performance.md``: the figures that were kept, in the words of ``page.md``.

The page is made of three things: the template, the docstrings of the benchmarks, which say what is
measured, and the figures. The documentation is built from the page as it is in the repository, and
a test sees to it that it is the one that these make.
"""

from __future__ import annotations

import ast
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from msgspec import Struct

from benchmarks.figures import Table
from benchmarks.tables import as_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kept(Struct):
    """The figures of one machine."""

    machine: dict[str, str]
    tables: dict[str, Table]
    """By the name of the benchmark."""


def page(template: str, kept: Kept) -> str:
    """Make the page.

    Args:
        template: With ``$machine`` and, for each benchmark, its name.
        kept: The figures.

    Raises:
        KeyError: the template names a benchmark of which nothing was kept.
    """
    sections = {name: _section(name, table) for name, table in kept.tables.items()}
    return Template(template).substitute(sections, machine=_machine(kept.machine))


def _machine(described: Mapping[str, str]) -> str:
    return "\n".join(f"* {name}: {value}" for name, value in described.items())


def _section(name: str, table: Table) -> str:
    """The measured functions and their figures."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    told = ast.get_docstring(ast.parse(source))
    return f"## {table.title}\n\n{told}\n\n{as_markdown(table)}"
