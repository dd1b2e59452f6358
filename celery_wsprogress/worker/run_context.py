"""The variable that tells code which run it belongs to. Typed, and used, by :mod:`.context`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

run_context: Final[ContextVar[Any]] = ContextVar("celery_wsprogress.tracker", default=None)
"""The tracker of the current run; None outside of operations that are published."""
