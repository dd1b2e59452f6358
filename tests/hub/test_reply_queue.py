"""Replies wait in order, and their bytes are counted."""

from __future__ import annotations

from support.frames import unframed

from celery_wsprogress.hub.reply_queue import MAX_BYTES, ReplyQueue


def test_replies_are_taken_in_order_about_as_many_as_there_is_room_for():
    queue = ReplyQueue()
    for text in (b"one", b"two", b"three"):
        queue.add(text)
    assert unframed(b"".join(queue.take(6))) == [b"one", b"two"]
    assert unframed(b"".join(queue.take(1))) == [b"three"]
    assert queue.take(1) == []
    assert not queue


def test_a_client_that_reads_no_replies_is_backlogged_until_it_reads_some():
    queue = ReplyQueue()
    queue.add(b"x" * MAX_BYTES)
    # Its header counts, too.
    assert queue.backlogged
    queue.take(1)
    assert not queue.backlogged
    queue.add(b"x")
    assert not queue.backlogged
    queue.add(b"x" * MAX_BYTES)
    queue.clear()
    assert (queue.backlogged, queue.size, bool(queue)) == (False, 0, False)
