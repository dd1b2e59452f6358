from __future__ import annotations

import pytest

from celery_wsprogress.cli.event_lines import width
from celery_wsprogress.cli.progress_bar import progress_bar

pytestmark = pytest.mark.usefixtures("in_utc")


def event(kind, **data):
    return {"event_type": kind, "operation_id": "op-1", "timestamp": 45_005.7, "data": data}


@pytest.mark.parametrize(
    ("progress", "bar"),
    [(0.0, "." * 24), (0.5, "#" * 12 + "." * 12), (1.0, "#" * 24)],
)
def test_a_bar(progress, bar):
    line = progress_bar(event("progress", progress=progress, message="m"))
    assert line == f"12:30:05  {round(progress * 100):3d}%       [{bar}] m"


def test_a_bar_without_a_total():
    assert "[" + "-" * 24 + "]" in progress_bar(
        event("progress", progress=0.5, message="", indeterminate=True)
    )


FIGURES = {"current": 250, "total": 1000, "unit": "rows", "rate": 120, "eta": 6.2}


SAID = "(250 of 1,000 rows, 120 rows/s, 6.2 s left)"


@pytest.mark.parametrize(
    ("columns", "rest"),
    [
        (None, f"[######..................] reading a file {SAID}"),
        (89, f"[#####..............] reading a file {SAID}"),
        (78, f"[##......] reading a file {SAID}"),
        (69, f"[##......] read… {SAID}"),
        (64, f"[##......] {SAID}"),
        (30, "[##......] (250 of 1,"),
    ],
)
def test_the_figures_are_kept_as_long_as_there_is_room(columns, rest):
    data = {"progress": 0.25, "message": "reading a file", **FIGURES}
    line = progress_bar(event("progress", **data), columns, "op")
    assert line == f"op   25% {rest}"


@pytest.mark.parametrize("columns", range(30, 130))
def test_it_is_never_wider_than_the_terminal(columns):
    data = {"progress": 0.25, "message": "\N{SNOWMAN} \u6f22\u5b57 \x1b " * 5, **FIGURES}
    line = progress_bar(event("progress", **data), columns)
    assert width(line) <= columns
    assert line.isprintable()
