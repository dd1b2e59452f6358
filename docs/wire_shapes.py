"""The shapes of the wire protocol, but for the events of operations.

Those are :mod:`celery_wsprogress.protocol.events`. :mod:`asyncapi_document` makes a document of
both, and the tests hold every frame that they receive against it.

A field with a default may be left out. One that is ``| None`` may be null: in commands that is the
same as left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from celery_wsprogress.hub.cancel import MAX_REASON_LENGTH
from celery_wsprogress.hub.commands import MAX_REQUEST_ID_LENGTH
from celery_wsprogress.hub.list_page import MAX_LISTED
from celery_wsprogress.hub.subscribe import MIN_RATE
from celery_wsprogress.protocol.events import Event, Fraction, OperationId, Text, Timestamp

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_LISTED)]
Rate: TypeAlias = Annotated[float, Meta(ge=MIN_RATE)]
Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON_LENGTH, min_length=1)]
RequestId: TypeAlias = Annotated[str, Meta(max_length=MAX_REQUEST_ID_LENGTH)] | int
State: TypeAlias = Literal[
    "queued", "scheduled", "received", "running", "retrying", "replaced", "completed", "error",
    "cancelled",
]  # fmt: skip
Code: TypeAlias = Literal[
    "invalid_json", "invalid_command", "unknown_command", "unauthorized", "forbidden",
    "not_supported", "unavailable", "too_many_tokens", "too_many_subscriptions", "too_large",
]  # fmt: skip


class Limits(Struct, kw_only=True):
    """What one client may take."""

    command_bytes: Count
    """Maximum size of a command."""
    subscriptions: Count
    """Maximum number of operations that a connection watches by id."""


class ConnectedData(Struct, kw_only=True):
    """``data`` of ``connected``."""

    message: str
    client_id: int
    timestamp: str
    """ISO 8601."""
    protocol: int
    server: str
    heartbeat: float
    """Seconds of silence after which a page sends ``ping``."""
    auth_required: bool
    features: list[str]
    limits: Limits
    broker_error: Text | UnsetType = UNSET
    """Why the sidecar cannot read from its broker; there while it cannot."""


class Connected(Struct, kw_only=True, tag_field="event_type", tag="connected"):
    """The first frame of a connection."""

    operation_id: Literal["system"]
    timestamp: Timestamp
    data: ConnectedData


class HeldWorkflow(Struct, kw_only=True):
    """How far the workflow is whose caller holds the id of this task."""

    workflow_id: str
    total: Count
    completed: Count
    failed: Count
    running: Count
    step: str | UnsetType = UNSET
    """The name of the task that reported last."""


class Operation(Struct, kw_only=True):
    """How an operation stands. Fields that a token does not show are null."""

    operation_id: OperationId
    operation_type: str
    """The name of the task."""
    started_at: Timestamp
    status: Text
    progress: Fraction
    metadata: dict[str, Any]
    event_count: Count
    state: State
    message: str
    details: dict[str, Any]
    current: float | None
    total: float | None
    unit: str | None
    rate: float | None
    """Units a second."""
    eta: float | None
    """Seconds to the end, at this rate."""
    indeterminate: bool
    queued_at: Timestamp | None
    received_at: Timestamp | None
    finished_at: Timestamp | None
    duration: float | None
    """Seconds from start to end."""
    starts_at: Timestamp | None
    """While it waits: the earliest start."""
    expires_at: Timestamp | None
    """While it waits: the time from which on it does not start any more."""
    attempt: int | None
    max_attempts: int | None
    worker: str | None
    queue: str | None
    parent_id: str | None
    root_id: str | None
    group_id: str | None
    tags: list[str]
    error: str | None
    error_type: str | None
    ignored: bool
    last_event_id: str | None
    run: str
    workflow_ids: list[str] | UnsetType = UNSET
    workflow: HeldWorkflow | UnsetType = UNSET


class Empty(Struct, forbid_unknown_fields=True):
    """``data`` of what has its fields beside it."""


class Snapshot(Struct, kw_only=True, tag_field="event_type", tag="snapshot"):
    """How an operation stands, for a client that said ``resync`` and has missed events."""

    operation_id: OperationId
    timestamp: Timestamp
    data: Empty
    operation: Operation
    missed: Count | None
    """Number of events that the client was not sent and will not be; null if unknown."""


class _Reply(Struct, kw_only=True, tag_field="event_type", tag="reply"):
    data: Empty
    request_id: RequestId | UnsetType = UNSET
    """That of the command."""


class Refused(_Reply, kw_only=True, tag="reply"):
    """The reply to a command that cannot be taken. The connection stays open."""

    error: Text
    """A sentence."""
    code: Code
    command: str | None


class _ReplyOfOperations(_Reply, kw_only=True):
    operation_id: str | UnsetType = UNSET
    workflow_id: str | UnsetType = UNSET
    operation_ids: list[str] | UnsetType = UNSET
    operation_type: str | UnsetType = UNSET
    tag: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    root_id: str | UnsetType = UNSET
    steps_of: str | UnsetType = UNSET


class Subscribed(_ReplyOfOperations, kw_only=True, tag="reply"):
    """The reply to ``subscribe``; it repeats what was named."""

    status: Literal["subscribed"]
    operation: Operation | None
    """How it stands; null if nobody has heard of it, or several were named."""
    replayable: bool
    """Whether a sidecar that is restarted reads its events again."""
    recovered: bool | dict[str, bool] | UnsetType = UNSET
    """With ``since``: whether what follows is all that was missed; for a list, by id."""
    broker_error: Text | UnsetType = UNSET


class Unsubscribed(_ReplyOfOperations, kw_only=True, tag="reply"):
    """The reply to ``unsubscribe``; it repeats what was named."""

    status: Literal["unsubscribed"]


class OperationShown(_Reply, kw_only=True, tag="reply"):
    """The reply to ``get_operation``."""

    operation: Operation | None


class OperationsListed(_Reply, kw_only=True, tag="reply"):
    """The reply to ``list_operations``."""

    operations: list[Operation]
    next: str | None
    """The ``cursor`` of the next page."""


class HistoryShown(_Reply, kw_only=True, tag="reply"):
    """The reply to ``get_history``."""

    operation_id: str
    events: list[Event]
    """The newest, oldest first."""
    complete: bool
    """Whether none is missing before them, but replaced progress."""


class _Node(Struct, kw_only=True, tag_field="kind"):
    index: Count
    parent: Count | None
    """The index of the node that contains it."""
    state: Literal["waiting", "running", "completed", "error", "cancelled", "skipped"]


class TaskNode(_Node, kw_only=True, tag="task"):
    """A task of a workflow."""

    operation_id: str
    operation_type: str
    progress: Fraction
    weight: float


class ChainNode(_Node, kw_only=True, tag="chain"):
    """Nodes that run one after the other."""

    group_id: None


class GroupNode(_Node, kw_only=True, tag="group"):
    """Nodes that run beside each other."""

    group_id: str | None


class TreeShown(_Reply, kw_only=True, tag="reply"):
    """The reply to ``get_tree``."""

    workflow_id: str
    total: Count
    nodes: list[TaskNode | ChainNode | GroupNode]
    next: str | None
    """The ``cursor`` of the next page."""


class StatsShown(_Reply, kw_only=True, tag="reply"):
    """The reply to ``get_stats``."""

    stats: dict[str, int]


class Cancelling(_Reply, kw_only=True, tag="reply"):
    """The reply to ``cancel``."""

    status: Literal["accepted", "ended"]
    operation_id: str
    state: State | UnsetType = UNSET
    """On ``ended``: how."""


class Authenticated(_Reply, kw_only=True, tag="reply"):
    """The reply to ``authenticate``."""

    status: Literal["authenticated"]
    expires_at: float | None


class Pong(_Reply, kw_only=True, tag="reply"):
    """The reply to ``ping``."""

    status: Literal["pong"]
    timestamp: Timestamp
    broker_error: Text | UnsetType = UNSET


class _Command(Struct, kw_only=True, tag_field="command"):
    request_id: RequestId | None = None
    """Repeated in the reply."""


class _Named(_Command, kw_only=True):
    operation_id: Text | None = None
    """The id of an operation; to subscribe, also ``*``."""
    workflow_id: Text | None = None
    """Instead: the id that the caller of a workflow holds."""


class _Several(_Named, kw_only=True):
    operation_ids: list[Text] | None = None
    operation_type: Text | None = None
    """A glob."""
    tag: Text | None = None
    group_id: Text | None = None
    root_id: Text | None = None
    steps_of: Text | None = None


class Subscribe(_Several, kw_only=True, tag="subscribe"):
    """Watch operations: by an id, a list of ids, or all of a kind."""

    since: Text | dict[str, str] | None = None
    """The ``event_id`` of the last event seen; with a list, by id."""
    replay: Literal["all", "last", "none"] | None = None
    resync: bool | None = None
    """Whether to take snapshots in the place of what was missed."""
    max_rate: Rate | None = None
    """Progress frames a second and operation."""
    token: str | None = None


class Unsubscribe(_Several, kw_only=True, tag="unsubscribe"):
    """End the subscription that the same fields began."""


class GetOperation(_Named, kw_only=True, tag="get_operation"):
    """Ask how an operation stands."""


class ListOperations(_Command, kw_only=True, tag="list_operations"):
    """Ask for operations that match all that is named, newest first."""

    state: State | None = None
    operation_type: Text | None = None
    """A glob."""
    tag: Text | None = None
    group_id: Text | None = None
    root_id: Text | None = None
    steps_of: Text | None = None
    limit: Limit | None = None
    cursor: str | None = None


class GetHistory(_Named, kw_only=True, tag="get_history"):
    """Ask for the newest events of an operation."""

    limit: Limit | None = None


class GetTree(_Command, kw_only=True, tag="get_tree"):
    """Ask for the tasks of a workflow."""

    workflow_id: Text
    limit: Limit | None = None
    cursor: str | None = None


class GetStats(_Command, kw_only=True, tag="get_stats"):
    """Ask for the figures of the sidecar."""


class Cancel(_Named, kw_only=True, tag="cancel"):
    """Ask that a task, or what is left of a workflow, is cancelled."""

    terminate: bool | None = None
    """Whether to end its process, where the pool can."""
    reason: Reason | None = None
    """Shown to all who watch."""


class Authenticate(_Command, kw_only=True, tag="authenticate"):
    """Add a token to the connection."""

    token: str


class Ping(_Command, kw_only=True, tag="ping"):
    """Ask whether the connection lives."""


REPLIES = {
    Subscribe: Subscribed,
    Unsubscribe: Unsubscribed,
    GetOperation: OperationShown,
    ListOperations: OperationsListed,
    GetHistory: HistoryShown,
    GetTree: TreeShown,
    GetStats: StatsShown,
    Cancel: Cancelling,
    Authenticate: Authenticated,
    Ping: Pong,
}
"""The commands, each with the reply to it where it is not :class:`Refused`."""
