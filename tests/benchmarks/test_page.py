"""The page about performance shows what was kept, and what the benchmarks say they measure."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import NAMES
from benchmarks.figures import Figure, Spread, Table
from benchmarks.page import Kept, page

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "benchmarks" / "page.md").read_text()
KEPT = msgspec.json.decode((ROOT / "benchmarks" / "results.json").read_bytes(), type=Kept)


def test_the_page_is_the_one_that_the_kept_figures_make():
    """Else: ``python -m benchmarks --page``."""
    assert (ROOT / "docs" / "explanation" / "performance.md").read_text() == page(TEMPLATE, KEPT)


def test_every_benchmark_was_kept():
    assert set(KEPT.tables) == set(NAMES)


def test_a_section_says_what_is_measured_and_what_was_found():
    table = Table("Fan-out", "3 rounds", [Figure("CPU", "µs", Spread(1.5, 1.25, 2.0))])
    made = page("$machine\n$fan_out", Kept({"python": "3.11"}, {"fan_out": table}))
    assert made.startswith("* python: 3.11\n## Fan-out\n\nOne operation, many watchers")
    assert made.rstrip().endswith("(3 rounds)")
    assert "| CPU | 1.50 µs | 1.25 to 2.00 |  |  |" in made


def test_a_benchmark_of_which_nothing_was_kept_is_named():
    with pytest.raises(KeyError, match="fan_out"):
        page("$fan_out", Kept({}, {}))
