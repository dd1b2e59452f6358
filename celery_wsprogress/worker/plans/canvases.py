"""The canvases that a process sends: which are workflows, and their plans.

A canvas is sent as one message, that of the first task of a chain, or as the messages of a group,
which may be the header of a chord. Both open a :class:`Canvas`. It publishes its plan once the
first message has left, and each message of it gets its header. What continues a workflow opens none
of its own, nor does what is sent inside another canvas.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.plans import MAX_PLAN_NODES
from celery_wsprogress.worker import sending_apps
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.plans import signatures
from celery_wsprogress.worker.plans.canvas import NOT_PUBLISHED, Canvas
from celery_wsprogress.worker.plans.continuation import CHORD_UNLOCK, continues, inherited_header
from celery_wsprogress.worker.plans.early_ids import give_ids, give_ids_in_chain
from celery_wsprogress.worker.plans.events import PlanHead
from celery_wsprogress.worker.plans.nodes import PlanNodes
from celery_wsprogress.worker.plans.start_request import pending_start
from celery_wsprogress.worker.policies import policy_of, publishing_for
from celery_wsprogress.worker.run_info import FOLLOW, WORKFLOW, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from celery_wsprogress.worker.plans.members import Members


#: The canvas whose messages are sent in this context.
current_canvas: ContextVar[Canvas | None] = ContextVar("celery_wsprogress.canvas", default=None)

#: The header and the body of the chord that is sent in this context.
current_chord: ContextVar[tuple[Any, Any] | None] = ContextVar(
    "celery_wsprogress.chord", default=None
)


def canvas_of_message(app: Any, name: str, headers: Any, body: Any) -> Canvas | None:
    """Return the canvas of a message that is about to be sent; None for a task by itself.

    Args:
        app: The app that sends it.
        name: The name of its task.
        headers: Of the message.
        body: Of Celery's protocol 2: arguments, keyword arguments and what is embedded.
    """
    current = current_canvas.get()
    if current is not None:
        return current
    embedded = body[2] if isinstance(body, (tuple, list)) and len(body) == 3 else None
    chain = embedded.get("chain") if isinstance(embedded, dict) else None
    worker_task = app.current_worker_task
    request = None if worker_task is None else worker_task.request
    if request is None and headers.get("retries") and inherited_header(headers):
        # The worker's main process sends it again: the process of the task was lost.
        return Canvas(inherited_header(headers))
    if request is not None:
        chord = _chord_of(embedded, chain) if request.chord else None
        if (headers.get("retries") and headers["id"] == request.id) or continues(
            request, _ids_of(name, headers["id"], body), chord
        ):
            return Canvas(inherited_header(request))
    if not chain:
        return _canvas_of_task(app, request, name, headers["id"])
    if not _may_publish(app):
        return None
    options = {"task_id": headers["id"], "headers": headers}
    first = {"task": name, "options": options, "kwargs": body[1]}
    parts = [first, *signatures.parts_behind({"options": {"chain": chain}})]
    return _open(app, worker_task, "celery.chain", parts, read_header(headers))


def _chord_of(embedded: Any, chain: Any) -> Any:
    """The body of the chord to which the last task behind a message belongs."""
    if chain:
        return signatures.chord_behind(chain[0])
    return embedded.get("chord") if isinstance(embedded, dict) else None


def _canvas_of_task(app: Any, request: Any, name: str, task_id: str) -> Canvas | None:
    """The canvas of a task with nothing behind it: that of the one that it replaces."""
    if request is not None and request.id == task_id:
        header = inherited_header(request)
        return Canvas(header) if header else None
    chord = current_chord.get() if name == CHORD_UNLOCK else None
    if chord is not None and _may_publish(app):
        # Celery sends this task before the header of the chord, which then gets the plan.
        header, body = chord
        canvas, *_ = _decide(app, app.current_worker_task, [header, *signatures.parts_of(body)])
        return canvas
    return None


def canvas_of_group(
    app: Any, members: Members, chord: Any, header: Mapping[str, Any], originals: Any
) -> Canvas | None:
    """Return the canvas of a group that is about to be sent; None if it is inside of another one.

    Args:
        app: The app that sends it.
        members: Its members.
        chord: The body of the chord whose header it is, where Celery passes one.
        header: Our header, where the caller has passed one for all members.
        originals: What the members are copies of.
    """
    if current_canvas.get() is not None or not sending_apps.is_registered(app):
        return None
    worker_task = app.current_worker_task
    request = None if worker_task is None else worker_task.request
    inherits = bool(inherited_header(request))
    if not inherits and not _may_publish(app):
        return None
    [*begin] = members.peek(1)
    if not begin:
        return None
    first, _, group_id = begin[0]
    if request is not None and continues(request, {group_id, *signatures.first_ids(first)}):
        return Canvas(inherited_header(request))
    body = chord if chord is not None else signatures.chord_behind(first)
    behind = [*signatures.parts_of(body)] if body else []
    # Celery's own kind of list reads a generator, which must not be read twice as far.
    if request is None and type(originals) in {list, tuple}:
        # Of a canvas that is not published Celery need not make all copies at once.
        group = _group("", originals)
        if pending_start() is None and not _any_published(app, [group, *behind]):
            return NOT_PUBLISHED
    tasks = [member[0] for member in members.peek(MAX_PLAN_NODES)]
    kind = "celery.chord" if body else "celery.group"
    canvas = _open(app, worker_task, kind, [_group(group_id, tasks), *behind], header)
    members.notice = canvas.count
    return canvas


def _group(group_id: str, tasks: Any) -> Any:
    options = {"task_id": group_id}
    return {"subtask_type": "group", "options": options, "kwargs": {"tasks": tasks}}


def prepare_chord(app: Any, body: Any) -> None:
    """Give ids to tasks of the body of a chord that Celery is about to freeze and to send."""
    if sending_apps.is_registered(app) and _may_publish(app):
        give_ids_in_chain(body)


def _may_publish(app: Any) -> bool:
    """Return whether any canvas of an app can be one that is published."""
    settings = publishing_of(app).settings
    return settings.enabled and (
        settings.tasks != "streaming"
        or sending_apps.has_streaming_tasks(app)
        or pending_start() is not None
    )


def _open(
    app: Any, worker_task: Any, kind: str, parts: Sequence[Any], header: Mapping[str, Any]
) -> Canvas:
    """Return the canvas of these parts, with its plan.

    Args:
        app: The app that sends it.
        worker_task: The running task that sends it, if any.
        kind: The name of Celery's task for such a canvas.
        parts: Tasks and groups that run one after the other.
        header: Our header that the caller has passed.
    """
    canvas, parts, replaces = _decide(app, worker_task, parts)
    if not canvas.header or not (len(parts) > 1 or signatures.is_group(parts[0])):
        return canvas
    start, workflow_id = pending_start(), _held_id(parts)
    if start is not None:
        header = {**header, **(start.take_header(workflow_id) or {})}
    request = None if worker_task is None else worker_task.request
    parent_id = request and (request.parent_id if replaces else request.id)
    head = PlanHead(
        workflow_id=workflow_id,
        operation_type=kind,
        parent_id=jsonable.to_text(parent_id) if parent_id else "",
        metadata=_metadata(app, parts, header),
        tags=tuple(jsonable.to_tags(header["tags"])) if header.get("tags") else (),
        sub=jsonable.to_text(header["sub"]) if header.get("sub") else "",
    )
    if kind != "celery.chain":
        give_ids(signatures.members_of(parts[0]))
    canvas.plan(publishing_of(app), head, _nodes_of(parts))
    return canvas


def _decide(app: Any, worker_task: Any, parts: Sequence[Any]) -> tuple[Canvas, Sequence[Any], bool]:
    """Decide whether a canvas is published.

    Returns:
        The canvas, the parts that belong to it, and whether it replaces the running task.
    """
    request = None if worker_task is None else worker_task.request
    # What replaces a task ends with the id of that; what comes behind is of its own workflow.
    last = next((n for n, one in enumerate(parts) if _replaces(request, one)), None)
    inherited: Mapping[str, Any] = {}
    follows = pending_start() is not None
    if last is not None:
        parts = parts[: last + 1]
        inherited = inherited_header(request)
        follows = publishing_for(worker_task, read_header(request)) is not None
    workflow_id = _held_id(parts)
    if workflow_id and (follows or _any_published(app, parts)):
        header = {FOLLOW: True, WORKFLOW: workflow_id, **inherited}
        return Canvas(header), parts, last is not None
    return NOT_PUBLISHED, parts, last is not None


def _replaces(request: Any, part: Any) -> bool:
    return request is not None and signatures.id_of(part) == request.id


def _held_id(parts: Sequence[Any]) -> str:
    """The id that the caller holds."""
    if len(parts) == 1 and signatures.is_group(parts[0]):
        # Of a group of one chain that ends in a group, Celery returns the result of that one
        # (celery 5.7, celery/canvas.py, `group.apply_async`).
        members = list(signatures.members_of(parts[0]))
        if len(members) == 1:
            [*inner] = signatures.parts_of(members[0])
            if inner and signatures.is_group(inner[-1]):
                return signatures.id_of(inner[-1])
    return signatures.id_of(parts[-1]) if parts else ""


def _any_published(app: Any, parts: Iterable[Any]) -> bool:
    publishing, known = publishing_of(app), set[str]()
    for part in parts:
        for name in signatures.names_in(part):
            if name not in known:
                known.add(name)
                streaming = sending_apps.streams(app, name)
                if publishing.publishes(name, streaming=streaming, header={}):
                    return True
    return False


def _nodes_of(parts: Sequence[Any]) -> PlanNodes:
    nodes = PlanNodes()
    if len(parts) == 1:
        groups = [(nodes.add_block("group", -1, signatures.id_of(parts[0])), parts[0])]
    else:
        groups = nodes.add_chain(parts)
    for index, group in groups:
        nodes.add_members(signatures.members_of(group), index)
    return nodes


def _metadata(app: Any, parts: Sequence[Any], header: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of the workflow, without what its first task hides."""
    if header.get("metadata") is None:
        return {}
    first = next(signatures.names_in(parts[0]), "")
    task = app.tasks.get(first)
    redactor = None if task is None else policy_of(task).redactor
    convert = jsonable.to_object if redactor is None else redactor.to_object
    return convert(header["metadata"])


def _ids_of(name: str, task_id: str, body: Any) -> set[str]:
    """The ids by which a message can continue a workflow."""
    if name == CHORD_UNLOCK and isinstance(body[0], (tuple, list)) and body[0]:
        # The group of the header that it waits for.
        return {task_id, body[0][0]}
    return {task_id}
