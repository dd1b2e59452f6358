"""Bars of rich, as people make them."""

from __future__ import annotations

import io
import threading
import time

import pytest

from celery_wsprogress import capture_tqdm

pytest.importorskip("rich")

from rich.console import Console
from rich.progress import Progress, track


def console():
    return Console(file=io.StringIO(), force_terminal=True)


def progress(**options):
    return Progress(console=console(), **options)


@pytest.fixture
def capture(sink):
    """A block that captures, for all of a test."""
    with capture_tqdm():
        yield sink


@pytest.mark.parametrize(
    "options", [{}, {"auto_refresh": False}, {"disable": True, "update_period": 0.001}]
)
def test_track(capture, options):
    shown = track("abcde", "[red]Reading[/] files", console=console(), **options)
    assert [one for one in shown if not time.sleep(0.002)] == list("abcde")
    assert capture.shown[0] == ("Reading files", 0, 5, None)
    assert capture.last == ("Reading files", 5, 5, None)


@pytest.mark.parametrize("disable", [False, True])
def test_progress(capture, disable):
    with progress(disable=disable) as bars:
        bar = bars.add_task("Loading", total=10)
        bars.update(bar, advance=3)
        bars.advance(bar, 4)
        bars.update(bar, description="Still loading")
        assert capture.last == ("Still loading", 7, 10, None)
        bars.update(task_id=bar, completed=9)
    assert capture.last == ("Still loading", 9, 10, None)


def test_the_first_that_is_not_finished_counts(capture):
    with progress() as bars:
        outer, inner = bars.add_task("outer", total=2), bars.add_task("inner", total=2)
        bars.advance(inner, 2)
        bars.advance(outer)
        bars.advance(outer)
        assert capture.last == ("outer", 2, 2, None)
        assert {one.message for one in capture.shown} == {"outer"}
        bars.update(inner, total=4, completed=3, description="inner again")
        assert capture.last == ("inner again", 3, 4, None)


def test_a_bar_that_is_removed_makes_room(capture):
    with progress() as bars:
        first, second = bars.add_task("first", total=2), bars.add_task("second", total=2)
        bars.remove_task(first)
        bars.update(second, completed=1)
        assert capture.last == ("second", 1, 2, None)
        bars.reset(second, description="anew")
        assert capture.last == ("anew", 0, 2, None)


def test_a_progress_that_has_stopped_is_not_captured(capture):
    with progress() as bars:
        bar = bars.add_task("Loading", total=10)
        bars.update(bar, completed=4)
    assert capture.last.current == 4
    bars.update(bar, completed=5)
    assert capture.last.current == 4
    with progress() as bars:
        bars.update(bars.add_task("next", total=None), completed=3)
    assert capture.last == ("next", 3, None, None)


def test_other_threads_may_move_a_bar(capture):
    with progress() as bars:
        bar = bars.add_task("Loading", total=4)
        threads = [threading.Thread(target=bars.advance, args=(bar,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert capture.last.current == 4


def test_a_file_that_is_read(capture, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    with progress() as bars, bars.open(file, "rb", description="Reading") as opened:
        opened.read()
    assert capture.last == ("Reading", 1000, 1000, None)


def test_nothing_is_captured_outside(sink):
    bars = progress()
    before = bars.add_task("before", total=3)
    with capture_tqdm():
        bars.advance(before)
        within = bars.add_task("within", total=3)
        count = len(sink.shown)
    bars.advance(within)
    bars.add_task("after", total=3)
    assert {one.message for one in sink.shown} == {"within"}
    assert len(sink.shown) == count


def test_no_error_reaches_the_loop(capture):
    bars = progress(disable=True)
    bar = bars.add_task("[wrong[/markup]", total=3)
    bars.advance(bar)
    assert capture.last.message == "[wrong[/markup]"
    with pytest.raises(KeyError):
        bars.update(99, advance=1)
    bars.add_task(object(), total=3)
