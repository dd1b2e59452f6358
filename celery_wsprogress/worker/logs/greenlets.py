"""The contexts of the greenlets that led to the current one.

``gevent.spawn`` does not copy the context, but a greenlet knows which one has spawned it
(``Greenlet.spawning_greenlet``; gevent 26.9, gevent/greenlet.py), as long as that is there. With
``monkey.patch_all()`` threads are greenlets, too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Context

MAX_DEPTH: Final = 20
"""Greenlets that are looked at, from one to the one that has spawned it."""


def contexts_of_spawners() -> Iterator[Context]:
    """Yield the contexts of the greenlet that has spawned this one, of its own spawner, and so on.

    Nothing in a process without gevent.
    """
    gevent: Any = sys.modules.get("gevent")
    greenlet = getattr(gevent, "getcurrent", lambda: None)()
    for _ in range(MAX_DEPTH):
        spawner = getattr(greenlet, "spawning_greenlet", None)
        greenlet = spawner() if callable(spawner) else None
        context = getattr(greenlet, "gr_context", None)
        if context is not None:
            yield context
