"""The ids of the operations that show workflows: ``workflow:`` and the id that the caller holds.

Pure. Whoever creates tokens imports it, so it needs no other package.
"""

from __future__ import annotations

from typing import Final

WORKFLOW_PREFIX: Final = "workflow:"
"""What the id of the operation of a workflow begins with."""


def workflow_operation_id(workflow_id: str) -> str:
    """Return the id of the operation that shows a workflow.

    Args:
        workflow_id: The id that the caller holds.
    """
    return WORKFLOW_PREFIX + workflow_id


def workflow_id_of(operation_id: str) -> str | None:
    """Return the id that the caller holds; None if the operation is no workflow."""
    return operation_id.removeprefix(WORKFLOW_PREFIX) if is_workflow(operation_id) else None


def is_workflow(operation_id: str) -> bool:
    """Return whether an operation is a workflow."""
    return operation_id.startswith(WORKFLOW_PREFIX)
