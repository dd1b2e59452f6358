"""What is held for a client is counted, and given back when it goes, whatever still waits."""

from __future__ import annotations

from celery_wsprogress.sidecar.client_input import SLICE_BYTES, ClientInput
from celery_wsprogress.sidecar.limits.budget import Budget
from celery_wsprogress.sidecar.limits.input_memory import InputMemory


class Connection:
    """A connection in the middle of a long frame."""

    is_closing = is_paused = owes_replies = False
    may_parse = True

    def __init__(self):
        self.unparsed_bytes = 0
        self.reading = True

    def parse(self, data):
        self.unparsed_bytes += len(data)

    def set_reading(self, reading, /):
        self.reading = reading


def test_a_turn_that_comes_after_the_end_counts_nothing_again():
    memory, connection = InputMemory(), Connection()
    one = ClientInput(connection, "a", Budget(1.0, 1.0), memory)
    one.add(b"x" * 3 * SLICE_BYTES)
    assert one.take_turn()
    assert connection.unparsed_bytes == SLICE_BYTES
    assert memory.total == 3 * SLICE_BYTES
    one.clear()
    assert memory.total == 0
    assert not one.take_turn()
    assert memory.total == 0


def test_a_socket_is_not_read_while_much_of_it_waits():
    connection = Connection()
    one = ClientInput(connection, "a", Budget(1.0, 1.0), InputMemory())
    one.add(b"x" * 10 * SLICE_BYTES)
    assert not connection.reading
    while one.take_turn():
        pass
    assert connection.reading
