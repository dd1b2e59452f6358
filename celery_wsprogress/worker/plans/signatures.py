"""What a canvas consists of, read from its signatures.

A signature is a dict, whether it is Celery's own class or was read from a message (celery 5.7,
celery/canvas.py, ``Signature``). Nothing here changes one. Signatures that Celery has frozen have
ids: of a group that is the id of its result.

What stands behind a signature may be in it, as the tasks of a chain and the body of a chord, or in
its option ``chain``, the last task first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.signals.map_tasks import MAP_TASKS, called_by

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_CHAIN: Final = "chain"
_CHORD: Final = "chord"
_GROUP: Final = "group"
_COMPOSITE: Final = frozenset({_CHAIN, _CHORD, _GROUP})


def is_group(signature: Any) -> bool:
    """Return whether a signature is a group."""
    return bool(signature.get("subtask_type") == _GROUP)


def is_task(signature: Any) -> bool:
    """Return whether a signature is one task, with nothing behind it."""
    return signature.get("subtask_type") not in _COMPOSITE and not signature["options"].get("chain")


def id_of(signature: Any) -> str:
    """Return the id of a task or a group; empty if it has none yet."""
    found = signature["options"].get("task_id")
    return found if isinstance(found, str) else ""


def members_of(group: Any) -> Iterable[Any]:
    """Return the members of a group. Reading a generator of them keeps them for Celery."""
    tasks = group["kwargs"]["tasks"]
    # A group in place of a list (celery 5.7, celery/canvas.py, `_chord._descend`).
    return members_of(tasks) if isinstance(tasks, dict) else tasks or ()


def parts_of(signature: Any) -> Iterator[Any]:
    """Yield the tasks and groups of a signature that run one after the other.

    Of a task and a group that is itself, of a chord the group of its header, and its body.
    """
    kind = signature.get("subtask_type")
    if kind == _CHAIN:
        for one in signature["kwargs"]["tasks"]:
            yield from parts_of(one)
    elif kind == _CHORD:
        yield from parts_of(_header_of(signature))
        body = signature["kwargs"].get("body")
        if body:
            yield from parts_of(body)
    elif kind != _GROUP or any(True for _ in members_of(signature)):
        # Celery leaves out an empty group.
        yield signature
    yield from parts_behind(signature)


def parts_behind(signature: Any) -> Iterator[Any]:
    """Yield the same of what stands in the option ``chain`` of a signature."""
    for one in reversed(signature["options"].get("chain") or ()):
        yield from parts_of(one)


def _header_of(chord: Any) -> Any:
    header = chord["kwargs"]["header"]
    if isinstance(header, dict) and is_group(header):
        return header
    tasks = [header] if isinstance(header, dict) else header
    options = {"task_id": chord["options"].get("task_id")}
    return {"subtask_type": _GROUP, "options": options, "kwargs": {"tasks": tasks}}


def last_id(signature: Any) -> str:
    """Return the id that a caller of the signature holds; empty if it has none yet."""
    behind = signature["options"].get("chain")
    kind = signature.get("subtask_type")
    if behind:
        return last_id(behind[0])
    if kind == _CHORD and signature["kwargs"].get("body"):
        return last_id(signature["kwargs"]["body"])
    if kind == _CHAIN:
        last = [id_of(one) for one in parts_of(signature)][-1:]
        return last[0] if last else ""
    return id_of(signature)


def begins_with(signature: Any, ids: Container[str]) -> bool:
    """Return whether what runs first of a signature has one of these ids.

    Of a group and of a chord's header that is the group, and its first member.
    """
    for first in parts_of(signature):
        if id_of(first) in ids:
            return True
        if not is_group(first):
            return False
        return any(begins_with(member, ids) for member in _first(members_of(first)))
    return False


def first_ids(signature: Any) -> set[str]:
    """Return the ids of what runs first of a signature, as :func:`begins_with`."""
    for first in _first(parts_of(signature)):
        found = {id_of(first)} - {""}
        if is_group(first):
            for member in _first(members_of(first)):
                found |= first_ids(member)
        return found
    return set()


def chord_behind(signature: Any) -> Any:
    """Return the body of the chord in whose header a frozen signature stands, else None.

    Celery has it in the last task of a chain, and in the body of a chord.
    """
    last = signature
    for last in parts_of(signature):  # noqa: B007 - the last one is wanted
        pass
    return last["options"].get("chord")


def _first(some: Iterable[Any]) -> Iterator[Any]:
    for one in some:
        yield one
        return


def tasks_in(signature: Any) -> Iterator[Any]:
    """Yield the tasks of a signature."""
    if is_task(signature):
        yield signature
        return
    for part in parts_of(signature):
        if is_group(part):
            for member in members_of(part):
                # Without a generator for each of many.
                if is_task(member):
                    yield member
                else:
                    yield from tasks_in(member)
        else:
            yield part


def names_in(signature: Any) -> Iterator[str]:
    """Yield the names of all tasks of a signature, and of those that they call for each item."""
    for task in tasks_in(signature):
        name = str(task["task"])
        yield name
        if name in MAP_TASKS and (called := called_by(name, task["kwargs"])):
            yield called
