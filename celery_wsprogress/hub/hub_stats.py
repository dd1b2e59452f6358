"""The figures of the hub, for ``get_stats``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import Counter

    from celery_wsprogress.hub.store import OperationStore

_COUNTS: Final = (
    "events", "delivered", "behind", "over", "resumed", "malformed", "repeats", "gaps",
    "lookups_refused",
)  # fmt: skip


def stats_of(store: OperationStore, subscriptions: int, counts: Counter[str]) -> dict[str, int]:
    """Return the figures of a hub, by their names on the wire."""
    return {
        "active_operations": store.active,
        "total_operations": store.total,
        "subscriptions": subscriptions,
        "held_operations": len(store),
        "history_bytes": store.history_bytes,
        **{f"{name}_total": counts[name] for name in _COUNTS},
    }
