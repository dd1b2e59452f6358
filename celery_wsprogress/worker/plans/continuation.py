"""Whether what a running task sends continues the workflow that it is part of.

Celery sends the next step of a chain, and the body of a chord, in the process of the task that ran
before, and its request names them (celery 5.7, celery/app/trace.py, celery/backends/base.py).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.run_info import FOLLOW, WORKFLOW, read_header

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

CHORD_UNLOCK: Final = "celery.chord_unlock"
"""The task that waits for the header of a chord, where the result backend does not count it. It
sends the body."""

_NOTHING: Final[Mapping[str, Any]] = {}

#: The id of a task that began in this context, and the next step of its chain.
_begun: ContextVar[tuple[Any, Any]] = ContextVar("celery_wsprogress.begun", default=(None, None))


def begin(request: Any) -> None:
    """Remember the next step of the chain of a task that begins.

    Celery before 5.6 takes it from the request before it sends it (celery/app/trace.py).
    """
    chain = request.chain
    if chain:
        _begun.set((request.id, chain[-1]))


def _next_step_of(request: Any) -> Any:
    task_id, step = _begun.get()
    if task_id == request.id:
        return step
    return request.chain[-1] if request.chain else None


def inherited_header(request: Any) -> Mapping[str, Any]:
    """Return what a message's header inherits from the running task whose workflow it continues.

    Args:
        request: Celery's request of the running task; None where there is none.
    """
    workflow = None if request is None else read_header(request).get(WORKFLOW)
    return {FOLLOW: True, WORKFLOW: workflow} if isinstance(workflow, str) else _NOTHING


def continues(request: Any, ids: Container[str], chord: Any = None) -> bool:
    """Return whether something with these ids continues the workflow of the running task.

    Args:
        request: Celery's request of the running task.
        ids: The id of a task or a group that is sent, and of what runs first in that.
        chord: The body of the chord to which it belongs, if any.
    """
    next_step = _next_step_of(request)
    if next_step and signatures.begins_with(next_step, ids):
        return True
    if request.chord:
        # The second is what `add_to_chord` sends.
        return signatures.begins_with(request.chord, ids) or (
            bool(chord) and signatures.last_id(chord) == signatures.last_id(request.chord)
        )
    return request.task == CHORD_UNLOCK and request.id not in ids
