"""Pieces of text that are joined: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.streams.chunk_buffer import (
    MAX_CHARACTERS,
    MAX_PIECES,
    ChunkBuffer,
    slices,
)


@given(st.text(), st.lists(st.one_of(st.text(), st.none())))
def test_what_is_written_is_taken_once_and_in_order(first, steps):
    """``None`` takes; what is written too late goes into the next buffer."""
    buffer, written, taken = ChunkBuffer(first), first, ""
    for step in steps:
        if step is None:
            buffer.take()
            continue
        written += step
        if buffer.append(step):
            late = buffer.late()
            taken, buffer = taken + buffer.take(), ChunkBuffer(late)
    assert taken + buffer.take() == written


@given(st.text(alphabet="aé€😀", min_size=1), st.integers(1, 4_000))
def test_a_large_text_is_divided_into_parts_that_fit(text, times):
    text *= times
    parts = slices(text)
    assert "".join(parts) == text
    assert all(0 < len(part) <= MAX_CHARACTERS for part in parts)


def test_a_buffer_has_room_for_some_pieces_only():
    buffer = ChunkBuffer("x")
    for _ in range(MAX_PIECES - 1):
        assert buffer.room > 0
        buffer.append("x")
    assert buffer.room < 0
    assert ChunkBuffer("x" * 100).room == MAX_CHARACTERS - 100


def test_a_piece_that_is_written_while_a_buffer_is_taken_is_in_one_of_both():
    parts, all_written, lock = [], threading.Event(), threading.Lock()
    current = [ChunkBuffer("")]

    def take():
        while not all_written.is_set():
            with lock:
                if not current[0].taken:
                    parts.append(current[0].take())

    taker = threading.Thread(target=take)
    taker.start()
    for number in range(5_000):
        if current[0].append(f"{number} "):
            with lock:
                current[0] = ChunkBuffer(current[0].late())
    all_written.set()
    taker.join()
    if not current[0].taken:
        parts.append(current[0].take())
    assert list(map(int, "".join(parts).split())) == list(range(5_000))


def test_it_counts_for_what_it_holds_and_its_successor_for_what_it_has_grown_by():
    buffer = ChunkBuffer("x" * 100)
    assert buffer.growth == 0
    buffer.append("x" * 3_000)
    assert buffer.size < 1_000
    assert 2 * 3_000 < buffer.growth < 2 * 3_100
    assert ChunkBuffer("x", buffer.growth).size > buffer.growth
    buffer.take()
    assert buffer.growth == 0


def test_small_pieces_count_also_where_there_is_no_more_room():
    buffer = ChunkBuffer("x")
    for _ in range(MAX_PIECES - 1):
        buffer.append("x")
    assert buffer.room < 0
    assert 2_000 < buffer.growth < 100 * MAX_PIECES


def test_a_text_is_taken_again():
    buffer = ChunkBuffer("a")
    assert [buffer.take(), buffer.take()] == ["a", "a"]
