"""The plan of a workflow: the tasks of a canvas, and how they depend on each other.

The process that sends a chain, a group or a chord knows all its tasks, and publishes them as events
of type ``plan``. A plan is a tree of three kinds of nodes: a ``task``; a ``chain``, whose parts run
one after the other; a ``group``, whose parts run side by side. A chord is a chain of a group and
its body. A plan with many nodes is divided into several events.

Clients get no such event. The sidecar makes an operation ``workflow:<id>`` of it
(:mod:`celery_wsprogress.operations.workflow`), whose id is the one that the caller holds: that of
the last task, or of the group.

Pure.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_PLAN_NODES: Final = 10_000
"""Maximum number of nodes of a plan. Further tasks are counted, and known when they report."""

MAX_PART_NODES: Final = 200
"""Maximum number of nodes of one event: some 16,000 bytes."""

NodeKind: TypeAlias = Literal["task", "chain", "group"]
NodeIndex: TypeAlias = Annotated[int, Meta(ge=-1, lt=MAX_PLAN_NODES)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]
NodeText: TypeAlias = Annotated[str, Meta(max_length=1_000)]
Weight: TypeAlias = Annotated[float, Meta(gt=0.0, le=1_000_000.0)]


class PlanNode(Struct, frozen=True, array_like=True, gc=False):
    """One node of a plan."""

    kind: NodeKind
    parent: NodeIndex
    """Index of the node that contains it, which comes before it; -1 for the first node."""
    id: NodeText = ""
    """Id of the task, or of the group; empty for a chain."""
    name: NodeText = ""
    """Name of the task."""
    weight: Weight = 1.0
    """The share of the task in the progress, compared with that of the others."""


class PlanData(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``data`` of a ``plan`` event: one part of a plan."""

    nodes: list[PlanNode]
    """Parts of a chain stand in their order."""
    first: Count = 0
    """Index of the first of these nodes in the plan."""
    tasks: Count | UnsetType = UNSET
    """Number of all tasks of the workflow, also of those in other parts and of those that no part
    names. In the first part; a later part may say it again where more became known."""
    operation_type: str | UnsetType = UNSET
    """``celery.chain``, ``celery.group`` or ``celery.chord``. In the first part."""
    parent_id: NodeText | UnsetType = UNSET
    """Id of the task that sent the canvas, if a task did. In the first part."""
    metadata: dict[str, Any] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
