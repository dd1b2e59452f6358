"""What a broker mixes up comes out in its order, and nothing is held back for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.sample_events import OPERATION, logs

from celery_wsprogress.brokers import batch_order
from celery_wsprogress.brokers.batch_order import GAP_TIMEOUT, MAX_GAP_TIMEOUT, BatchOrder
from celery_wsprogress.hub.history_page import newest_events
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol import batches


def batch(number, *, writer="w", events=()):
    return batches.join_batch(writer, number, [batches.encode_event(one) for one in events])


def numbers(found):
    return [batches.decode_batch(one).counter for one in found]


@st.composite
def mixed_up(draw, written):
    """Batches in any order, some of them more than once."""
    order = draw(st.permutations(written))
    repeats = draw(st.lists(st.sampled_from(written), max_size=5)) if written else []
    for one in repeats:
        order.insert(draw(st.integers(order.index(one) + 1, len(order))), one)
    return order


@given(mixed_up([batch(n, writer=writer) for writer in ("a", "b") for n in range(1, 8)]))
def test_each_writers_batches_come_out_in_their_order_and_none_is_lost(order):
    put_right, seen = BatchOrder(), {"a": [], "b": []}
    for one in order:
        for out in put_right.add(one, 0.0):
            found = batches.decode_batch(out)
            seen[found.writer].append(found.counter)
    # What came again goes through: it is counted behind this.
    assert {writer: list(dict.fromkeys(found)) for writer, found in seen.items()} == {
        writer: list(range(1, 8)) for writer in seen
    }
    assert not put_right.release_all()


def outcome_of(order):
    """What a hub makes of an operation."""
    hub = Hub()
    for number, body in enumerate(order, 1):
        process(hub, batches.decode_batch(body), epoch="e", position=str(number), now=0.0)
    frames, _ = newest_events(hub.store.get(OPERATION).history, 1_000, 1_000_000)
    delivered = {name: count for name, count in hub.counts.items() if name != "repeats"}
    snapshot = {name: value for name, value in hub.get(OPERATION).items() if "event_id" not in name}
    return [frame.partition(b'"event_id"')[0] for frame in frames], delivered, snapshot


@given(logs(), st.data())
def test_what_is_told_of_an_operation_does_not_depend_on_the_order_of_arrival(events, data):
    written = [batch(n, events=[event]) for n, event in enumerate(events, 1)]
    put_right = BatchOrder()
    order = data.draw(mixed_up(written))
    out = [one for arrived in order for one in put_right.add(arrived, 0.0)]
    assert outcome_of(out) == outcome_of(written)


def test_what_is_missing_is_waited_for_and_then_given_up():
    put_right = BatchOrder()
    assert numbers(put_right.add(batch(1), 0.0)) == [1]
    for number, at in [(3, 1.0), (4, 1.5), (6, 1.6)]:
        assert not put_right.add(batch(number), at)
    assert not put_right.release_overdue(0.9 + GAP_TIMEOUT, quiet=True)
    assert not put_right.release_overdue(0.9 + MAX_GAP_TIMEOUT, quiet=False)
    assert numbers(put_right.release_overdue(1.0 + GAP_TIMEOUT, quiet=True)) == [3, 4]
    assert numbers(put_right.add(batch(2), 3.0)) == [2], "late, and not lost"
    assert numbers(put_right.add(batch(5), 3.0)) == [5, 6]


def test_where_others_come_all_the_time_it_is_given_up_as_well():
    put_right = BatchOrder()
    assert not put_right.add(batch(2), 0.0)
    assert numbers(put_right.release_overdue(MAX_GAP_TIMEOUT, quiet=False)) == [2]


def test_whoever_began_before_the_reader_is_waited_for_once():
    put_right = BatchOrder()
    assert not put_right.add(batch(500), 0.0)
    assert numbers(put_right.release_overdue(GAP_TIMEOUT, quiet=True)) == [500]
    assert numbers(put_right.add(batch(501), 2.0)) == [501]


def test_many_that_are_missing_are_waited_for_together():
    put_right = BatchOrder()
    for number in range(2, 100, 2):
        put_right.add(batch(number), 0.0)
    assert numbers(put_right.release_overdue(GAP_TIMEOUT, quiet=True)) == list(range(2, 100, 2))


def test_what_is_no_batch_of_ours_is_handed_on():
    put_right = BatchOrder()
    for body in (b"", b"\xff", b"{}", b'{"v":1,"writer":"\\u0041","n":7,"events":[]}'):
        assert put_right.add(body, 0.0) == [body]


def test_what_is_held_back_is_bounded(monkeypatch):
    monkeypatch.setattr(batch_order, "MAX_HELD_BYTES", 4 * len(batch(2)))
    put_right = BatchOrder()
    out = [numbers(put_right.add(batch(number), 0.0)) for number in (3, 2, 9, 4, 7)]
    assert out == [[], [], [], [], [2, 3, 4, 7, 9]]
    assert put_right._size == 0


def test_writers_are_forgotten(monkeypatch):
    monkeypatch.setattr(batch_order, "MAX_WRITERS", 2)
    put_right = BatchOrder()
    for writer in ("a", "b", "c"):
        assert put_right.add(batch(1, writer=writer), 0.0)
    assert len(put_right._next) == 2
