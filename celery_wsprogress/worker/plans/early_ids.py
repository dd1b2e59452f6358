"""Ids for the tasks of a group that is followed by another group, before Celery gives them some.

Celery makes a chord of the two when it sends their chain, which may be much later. Until then it
keeps no ids for the first of them (celery 5.4 to 5.7, celery/canvas.py, ``_chain.prepare_steps``):
nobody could name these tasks in a plan. The ids are those that its own method makes; it keeps what
it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.canvas import _chain, _chord, group

from celery_wsprogress.worker.plans import signatures

if TYPE_CHECKING:
    from collections.abc import Iterable


def give_ids(members: Iterable[Any]) -> None:
    """Give ids to the tasks of groups that are followed by a group, inside frozen signatures.

    Args:
        members: Signatures that Celery has frozen, and so copied before.
    """
    pending = [member for member in members if not signatures.is_task(member)]
    while pending:
        one = pending.pop()
        if isinstance(one, _chain):
            give_ids_in_chain(one)
            pending += one.tasks
        elif isinstance(one, group):
            pending += one.tasks
        elif isinstance(one, _chord):
            pending += one.tasks if not isinstance(one.tasks, group) else one.tasks.tasks
            pending.append(one.body)


def give_ids_in_chain(chain: Any) -> None:
    """Give ids to the tasks of groups in a chain that is a copy of that of the user."""
    for one, following in zip(chain.tasks, chain.tasks[1:], strict=False):
        if isinstance(one, group) and isinstance(following, group) and not _has_ids(one):
            # Not `freeze()`, whose result asks the result backend for those of the members.
            one._freeze_group_tasks()  # noqa: SLF001 - as `chord.run` calls it


def _has_ids(one: Any) -> bool:
    return any(signatures.first_ids(member) for member in one.tasks[:1])
