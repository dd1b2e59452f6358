"""Replies wait in order, and their bytes are counted."""

from __future__ import annotations

from support.frames import unframed

from celery_wsprogress.hub.reply_queue import ReplyQueue


def test_replies_are_taken_in_order_about_as_many_as_there_is_room_for():
    queue = ReplyQueue()
    for text in (b"one", b"two", b"three"):
        queue.add(text)
    assert unframed(b"".join(queue.take(6))) == [b"one", b"two"]
    assert unframed(b"".join(queue.take(1))) == [b"three"]
    assert queue.take(1) == []
    assert not queue


def test_the_bytes_of_replies_are_counted_with_their_headers():
    queue = ReplyQueue()
    queue.add(b"x" * 100)
    queue.add(b"x")
    assert queue.size == 102 + 3
    queue.take(1)
    assert queue.size == 3
    queue.clear()
    assert (queue.size, bool(queue)) == (0, False)
