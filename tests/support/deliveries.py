"""What the fan-out does with what is new, without sockets: the sessions are notified."""

from __future__ import annotations


def deliver(hub):
    """Notify the sessions of what is new; those that had nothing to read before."""
    return [
        session
        for record, cursor, sessions, _ in hub.take_deliveries()
        for session in sessions
        if session.notify(record, cursor)
    ]


def process(hub, batch, **where):
    """Have the hub process a batch, and deliver it."""
    hub.process_batch(batch, **where)
    return deliver(hub)
