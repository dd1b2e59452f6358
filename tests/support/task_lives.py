"""What the tasks ``shop.<id>`` of a workflow report."""

from __future__ import annotations

from support.sample_events import completed, queued, result, status


def start(task_id):
    """It is sent, and starts."""
    said = {"operation_id": task_id, "publication": f"p-{task_id}"}
    return (
        queued(at=1.0, operation_type=f"shop.{task_id}", **said),
        status("started", at=2.0, run=f"run-{task_id}", metadata={}, **said),
    )


def end(task_id):
    """It returns its id."""
    run_of = {"operation_id": task_id, "run": f"run-{task_id}", "at": 3.0}
    return (result(task_id, **run_of), completed(duration=1.0, **run_of))
