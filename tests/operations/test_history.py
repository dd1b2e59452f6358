"""A history is bounded, conflates progress only, and says what it dropped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.operations.history import (
    MAX_BYTES,
    MAX_CHUNK_BYTES,
    MAX_ENTRIES,
    MAX_JOINED_BYTES,
    History,
)
from celery_wsprogress.operations.history_entry import ENTRY_OVERHEAD, Entry, Kind
from celery_wsprogress.protocol.event_ids import LogPosition


def entry(seq, kind=Kind.OTHER, *, run="r", frame=b"x"):
    return Entry(seq, 1, kind, run, b'{"event_id":"e.%d.0"}' % seq + frame)


def seqs(entries):
    return [one.seq for one in entries]


def filled(*entries):
    history = History()
    for one in entries:
        history.append(one)
    return history


def test_a_later_progress_of_the_same_run_supersedes():
    history = filled(entry(1, Kind.PROGRESS), entry(2), entry(3, Kind.PROGRESS))
    assert seqs(history.after(0)) == [2, 3]
    assert history.dropped_seq == 0


def test_the_last_progress_of_an_earlier_run_stays():
    history = filled(entry(1, Kind.PROGRESS, run="a"), entry(2, Kind.PROGRESS, run="b"))
    assert seqs(history.after(0)) == [1, 2]


def test_a_cursor_between_entries_goes_on_behind_it():
    history = filled(entry(10), entry(20), entry(30))
    assert seqs(history.after(10)) == seqs(history.after(15)) == [20, 30]
    assert seqs(history.after(30)) == []


def test_a_full_history_keeps_the_last_status_the_latest_progress_and_the_end():
    first = [entry(1, Kind.STATUS), entry(2, Kind.PROGRESS), entry(3, Kind.TERMINAL)]
    history = filled(*first, *(entry(seq) for seq in range(4, 4 + 2 * MAX_ENTRIES)))
    assert history.count <= MAX_ENTRIES
    assert seqs(history.after(0))[:3] == [1, 2, 3]
    assert 4 <= history.dropped_seq < 4 + 2 * MAX_ENTRIES
    assert history.dropped_position == LogPosition((1, history.dropped_seq), 0)


def test_a_history_is_bounded_in_bytes():
    history = filled(*(entry(seq, frame=b"x" * 30_000) for seq in range(1, 100)))
    assert history.size <= MAX_BYTES
    assert seqs(history.after(0))[-1] == 99


def test_the_latest_progress_is_beyond_the_bound_and_that_of_an_earlier_run_within():
    history = History()
    for seq in range(1, 100):
        history.append(entry(seq, Kind.PROGRESS, run=f"r{seq}", frame=b"x" * 30_000))
        assert history.size <= MAX_BYTES + 30_000 + ENTRY_OVERHEAD


def test_how_things_stand_is_the_last_of_each_kind_of_the_current_run():
    history = filled(
        entry(1, Kind.STATUS),
        entry(2, Kind.TERMINAL),
        entry(3, Kind.STATUS),
        entry(4, Kind.PROGRESS),
    )
    history.run_start_seq = 3
    history.append(entry(5))
    assert seqs(history.latest_of_run(5)) == [3, 4]
    assert seqs(history.latest_of_run(3)) == [3]


@given(st.lists(st.tuples(st.sampled_from(Kind), st.sampled_from("ab"), st.integers(1, 60_000))))
def test_whatever_comes_it_stays_in_order_and_accounts_for_its_bytes(appended):
    history = History()
    for seq, (kind, run, size) in enumerate(appended, start=1):
        history.append(entry(seq, kind, run=run, frame=b"x" * size))
    held = list(history.after(0))
    assert seqs(held) == sorted(set(seqs(held)))
    assert history.size == sum(one.size for one in held)
    assert history.count == len(held)
    lossless = [s for s, (kind, _, _) in enumerate(appended, start=1) if kind is not Kind.PROGRESS]
    assert set(seqs(held)) >= {seq for seq in lossless if seq > history.dropped_seq}


_LARGE = st.integers(1, 300_000)
_ALL_BUT_PROGRESS = st.sampled_from([one for one in Kind if one is not Kind.PROGRESS])


@given(st.lists(st.tuples(_ALL_BUT_PROGRESS, _LARGE), max_size=60))
def test_chunks_push_nothing_else_out_and_nothing_pushes_them_out(appended):
    entries = [
        entry(seq, kind, frame=b"x" * size) for seq, (kind, size) in enumerate(appended, start=1)
    ]
    held = filled(*entries).after(0)
    for kinds in ({Kind.CHUNK}, {*Kind} - {Kind.CHUNK}):
        alone = filled(*[one for one in entries if one.kind in kinds])
        assert [one for one in held if one.kind in kinds] == alone.after(0)


@given(st.lists(st.tuples(st.sampled_from(Kind), _LARGE), max_size=60))
def test_what_is_held_is_bounded_by_the_bytes_of_chunks_and_of_all_else(appended):
    history, largest = History(), 0
    for seq, (kind, size) in enumerate(appended, start=1):
        one = entry(seq, kind, frame=b"x" * size)
        history.append(one)
        largest = max(largest, one.size)
        chunks = sum(held.size for held in history.after(0) if held.kind is Kind.CHUNK)
        # The newest entry is kept in any case, and of some kinds the last one.
        assert chunks <= MAX_CHUNK_BYTES + largest
        assert history.size - chunks <= MAX_BYTES + 4 * largest


def test_short_chunks_do_not_count_as_entries():
    chunks = [entry(seq, Kind.CHUNK) for seq in range(1, 5 * MAX_ENTRIES)]
    history = filled(*chunks, entry(5 * MAX_ENTRIES))
    assert history.dropped_seq == 0
    assert history.count == 5 * MAX_ENTRIES


@given(st.integers(0, 40), st.sets(st.integers(1, 40), min_size=1))
def test_the_cursor_at_a_position_has_nothing_before_it_and_all_behind_it(place, present):
    history = filled(*(entry(seq) for seq in sorted(present)))
    cursor = history.cursor_at(LogPosition((1, place), 0))
    assert seqs(history.after(cursor)) == sorted(seq for seq in present if seq > place)


def test_frames_are_joined_once_for_all_readers_at_a_cursor():
    history = filled(entry(1), entry(2), entry(3))
    joined = history.frames_after(1)
    assert joined == b"".join(one.frame for one in history.after(1))
    assert history.frames_after(1) is joined
    assert history.frames_after(0) == b"".join(one.frame for one in history.after(0))
    history.append(entry(4))
    assert history.frames_after(1) == joined + entry(4).frame


def test_frames_are_joined_once_for_all_until_they_are_forgotten_and_only_if_they_are_few():
    history = filled(*(entry(seq) for seq in (1, 2, 3)))
    joined = history.frames_after(1)
    assert history.frames_after(1) is joined
    history.joined = b""
    assert history.frames_after(1) == joined
    history.append(entry(4, frame=b"x" * MAX_JOINED_BYTES))
    large = history.frames_after(1)
    assert large.startswith(joined)
    assert history.frames_after(1) is not large
