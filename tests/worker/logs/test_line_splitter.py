from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.logs.line_splitter import MAX_LINE, LineSplitter

texts = st.text("ab \r\n", max_size=60)


def shown(line):
    """What a terminal shows of it: the last state that is not empty."""
    return next((state for state in reversed(line.split("\r")) if state), "")


@given(st.lists(texts, max_size=10))
def test_the_pieces_do_not_matter(pieces):
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    *ended, begun = "".join(pieces).split("\n")
    assert lines == [shown(line) for line in ended]
    assert splitter.is_empty is not bool(shown(begun))
    assert splitter.rest() == shown(begun)
    assert splitter.is_empty


def test_a_line_without_an_end_is_cut():
    splitter = LineSplitter()
    for _ in range(1_000):
        assert splitter.feed("." * 999) == []
    assert splitter.feed("\rnew\n") == ["new"]
    for _ in range(1_000):
        splitter.feed("." * 999)
    assert splitter.feed("\nnext") == ["." * MAX_LINE]
    assert splitter.rest() == "next"
