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
