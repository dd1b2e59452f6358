"""Bars of tqdm, as people make them."""

from __future__ import annotations

import asyncio
import io
import itertools
import threading

import pytest
import tqdm.asyncio
import tqdm.auto
import tqdm.notebook
from support.asyncio_runner import run

from celery_wsprogress import capture_tqdm
from celery_wsprogress.worker.capture import tqdm_bars


def nowhere():
    return {"file": io.StringIO()}


@pytest.fixture
def capture(sink):
    """A block that captures, for all of a test."""
    with capture_tqdm():
        yield sink


@pytest.mark.parametrize("options", [{}, {"disable": True}], ids=["shown", "disabled"])
@pytest.mark.parametrize("cls", [tqdm.tqdm, tqdm.auto.tqdm, tqdm.asyncio.tqdm])
def test_a_loop(capture, cls, options):
    items = [object() for _ in range(5)]
    assert list(cls(items, "Reading", unit=" files", **options, **nowhere())) == items
    assert capture.shown[0] == ("Reading", 0, 5, "files")
    assert capture.last == ("Reading", 5, 5, "files")


def test_a_loop_in_a_notebook(capture):
    # Shown ones need widgets, and a browser.
    assert list(tqdm.notebook.tqdm("abc", desc="Reading", disable=True)) == ["a", "b", "c"]
    assert capture.last[:3] == ("Reading", 3, 3)


@pytest.mark.parametrize("disable", [False, True])
def test_updates(capture, disable):
    with tqdm.tqdm(total=10, desc="Loading", disable=disable, **nowhere()) as bar:
        bar.update(3)
        bar.update(4)
    assert capture.last[:3] == ("Loading", 7, 10)
    assert not capture.last.unit


@pytest.mark.parametrize("disable", [False, True])
def test_a_loop_that_is_left(capture, disable):
    for number in tqdm.tqdm(range(10), disable=disable, **nowhere()):
        if number == 4:
            break
    assert capture.last.current == 4
    bar = tqdm.tqdm(range(10), disable=disable, **nowhere())
    with pytest.raises(ZeroDivisionError):
        [1 / (number - 3) for number in bar]
    del bar
    assert capture.last.current == 3


@pytest.mark.parametrize("disable", [False, True])
def test_each_description_is_shown_at_once(capture, disable):
    bar = tqdm.tqdm("abc", disable=disable, **nowhere())
    for number, letter in enumerate(bar):
        bar.set_description(f"at {letter}")
        assert capture.last[:3] == (f"at {letter}", number, 3)
    assert capture.last[:3] == ("at c", 3, 3)


def test_the_postfix_is_part_of_the_message(capture):
    with tqdm.tqdm(total=2, desc="Training", **nowhere()) as bar:
        bar.set_postfix(loss=0.5)
        assert capture.last.message == "Training, loss=0.5"


def test_only_the_outermost_bar_counts(capture):
    for _ in tqdm.tqdm(range(3), desc="outer", **nowhere()):
        for _ in tqdm.tqdm(range(50), desc="inner", leave=False, **nowhere()):
            pass
    assert {one.message for one in capture.shown} == {"outer"}
    list(tqdm.tqdm(range(4), desc="next", **nowhere()))
    assert capture.last[:3] == ("next", 4, 4)


def test_a_bar_that_nobody_closes_is_gone_with_its_object(capture):
    # A shown one may be held by tqdm's monitor at this moment.
    bar = tqdm.tqdm(total=3, desc="left", disable=True)
    bar.update()
    del bar
    list(tqdm.tqdm(range(4), desc="next", **nowhere()))
    assert capture.last[:3] == ("next", 4, 4)


@pytest.mark.parametrize("disable", [False, True])
def test_a_bar_that_begins_anew(capture, disable):
    with tqdm.tqdm(total=3, disable=disable, **nowhere()) as bar:
        bar.update(3)
        bar.reset(total=5)
        assert capture.last[1:3] == (0, 5)
        bar.update(2)
    assert capture.last[1:3] == (2, 5)


def test_units_that_tqdm_scales(capture):
    with tqdm.tqdm(total=4, unit="B", unit_scale=512, **nowhere()) as bar:
        bar.update(2)
    assert capture.last[1:] == (1024, 2048, "B")


def test_a_total_that_is_not_known_and_one_that_is_exceeded(capture):
    list(tqdm.tqdm(iter("abc"), **nowhere()))
    assert capture.last[1:3] == (3, None)
    with tqdm.tqdm(total=2, **nowhere()) as bar:
        bar.update(3)
    assert capture.last[1:3] == (3, None)


def test_an_initial_value(capture):
    list(tqdm.tqdm(range(3), initial=7, total=10, **nowhere()))
    assert capture.last[1:3] == (10, 10)


def test_asynchronous_loops(capture):
    async def letters():
        for letter in "abc":
            await asyncio.sleep(0)
            yield letter

    async def work():
        found = [one async for one in tqdm.asyncio.tqdm(letters(), total=3, **nowhere())]
        await tqdm.asyncio.tqdm.gather(*(asyncio.sleep(0) for _ in range(4)), **nowhere())
        return found

    assert run(work()) == ["a", "b", "c"]
    assert (3, 3) in [one[1:3] for one in capture.shown]
    assert capture.last[1:3] == (4, 4)


def test_other_threads_may_move_a_bar(capture):
    with tqdm.tqdm(total=4, **nowhere()) as bar:
        threads = [threading.Thread(target=bar.update) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert capture.last[1:3] == (4, 4)


def test_slow_updates_are_all_read(capture, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("celery_wsprogress.worker.capture.bars.monotonic", lambda: next(clock))
    for options in ({"disable": True}, {"mininterval": 100, **nowhere()}):
        with tqdm.tqdm(total=4, **options) as bar:
            for number in range(1, 5):
                bar.update()
                assert capture.last.current == number


def test_the_bar_writes_what_it_wrote(capture):
    def written(options):
        file = io.StringIO()
        for _ in tqdm.tqdm(range(3), bar_format="{desc}{n}/{total}", file=file, **options):
            pass
        return file.getvalue()

    captured = written({"desc": "a"})
    assert "3/3" in captured
    assert written({"desc": "a", "disable": True}) == ""
    assert capture.last[:3] == ("a", 3, 3)


def test_nothing_is_captured_outside(sink):
    before = tqdm.tqdm(total=3, **nowhere())
    with capture_tqdm():
        before.update(1)
        within = tqdm.tqdm(total=3, **nowhere())
        within.update(1)
        count = len(sink.shown)
    within.update(2)
    within.close()
    before.close()
    list(tqdm.tqdm(range(3), **nowhere()))
    assert len(sink.shown) == count
    assert {one.total for one in sink.shown} == {3}


class Odd:
    """No number, and no text."""

    def _raise(self, *_):
        raise RuntimeError

    __str__ = __add__ = __radd__ = __bool__ = __gt__ = __lt__ = _raise


@pytest.mark.parametrize("options", [{"total": "3"}, {"unit": Odd()}, {"initial": None}])
def test_no_error_reaches_the_loop(capture, options):
    assert list(tqdm.tqdm("abc", disable=True, **options)) == ["a", "b", "c"]
    with tqdm.tqdm(disable=True, **options) as bar:
        bar.update(Odd())


def test_what_the_loop_raises_is_its_own(capture):
    def letters():
        yield "a"
        raise KeyError("b")

    for disable in (False, True):
        with pytest.raises(KeyError, match="b"):
            list(tqdm.tqdm(letters(), disable=disable, **nowhere()))
    with pytest.raises(tqdm.TqdmKeyError):
        tqdm.tqdm("abc", no_option=1, **nowhere())


def test_the_class_looks_as_before(capture):
    assert tqdm.tqdm.update.__doc__.strip().startswith("Manually update")
    assert vars(tqdm.tqdm)[tqdm_bars.NAME] is None
