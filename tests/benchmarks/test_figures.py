from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, Spread, Table, Target, number, ratio, spread
from benchmarks.tables import as_markdown, as_text

values = st.lists(st.integers(1, 10**6), min_size=1, max_size=30)


@given(values)
def test_a_spread_lies_within_what_was_measured(some):
    found = spread(some)
    assert min(some) <= found.low <= found.median <= found.high <= max(some)


def test_ratios_are_taken_round_by_round():
    # The medians alone would say 1.
    found = ratio("ours against theirs", [1, 2, 3], [2, 2, 1])
    assert found.spread.median == 1.0
    assert found.spread.high > 2


@pytest.mark.parametrize(
    ("target", "met", "missed", "text"),
    [(Target(1.4), 1.4, 1.41, "≤ 1.40"), (Target(800, at_most=False), 800, 799, "≥ 800")],
)
def test_a_target_is_met_or_missed(target, met, missed, text):
    assert target.is_met(met)
    assert not target.is_met(missed)
    assert str(target) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")],
)
def test_a_number_has_the_digits_that_mean_something(value, text):
    assert number(value) == text


TABLE = Table(
    "Fan-out",
    "3 rounds",
    [
        Figure("CPU per delivery", "µs", Spread(1.5, 1.25, 2.0)),
        Figure("against a loop", "x", Spread(1.5, 1.25, 2.0), Target(1.4)),
        Figure("against another", "x", Spread(0.5, 0.25, 1.0), Target(0.75)),
    ],
)


def test_a_table_for_a_terminal():
    assert as_text(TABLE).splitlines() == [
        "Fan-out (3 rounds)",
        "                     median  10 % to 90 %  target",
        "  CPU per delivery  1.50 µs  1.25 to 2.00",
        "  against a loop     1.50 x  1.25 to 2.00  ≤ 1.40  missed",
        "  against another    0.50 x  0.25 to 1.00  ≤ 0.75    held",
    ]


def test_a_table_for_a_page():
    assert as_markdown(TABLE).splitlines() == [
        "|  | median | 10 % to 90 % | target |  |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| CPU per delivery | 1.50 µs | 1.25 to 2.00 |  |  |",
        "| against a loop | 1.50 x | 1.25 to 2.00 | ≤ 1.40 | missed |",
        "| against another | 0.50 x | 0.25 to 1.00 | ≤ 0.75 | held |",
        "",
        "(3 rounds)",
    ]
