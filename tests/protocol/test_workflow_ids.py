"""The ids of the operations that show workflows."""

from __future__ import annotations

from celery_wsprogress.protocol import workflow_ids


def test_the_id_of_a_workflow_is_the_one_that_the_caller_holds():
    made = workflow_ids.workflow_operation_id("abc")
    assert made == "workflow:abc"
    assert workflow_ids.is_workflow(made)
    assert workflow_ids.workflow_id_of(made) == "abc"


def test_a_task_is_no_workflow():
    assert not workflow_ids.is_workflow("abc")
    assert workflow_ids.workflow_id_of("abc") is None
