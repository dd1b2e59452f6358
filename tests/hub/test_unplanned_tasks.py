"""Tasks are found by who started them, and by their group."""

from __future__ import annotations

import pytest

from celery_wsprogress.hub.unplanned_tasks import MAX_UNPLANNED, UnplannedTasks


@pytest.fixture
def tasks():
    return UnplannedTasks()


def test_a_task_is_found_by_who_started_it_and_by_its_group(tasks):
    tasks.add("a", "starter", "group")
    tasks.add("b", "starter", None)
    assert tasks.of("group") == ["a"]
    assert tasks.of("starter") == ["a", "b"]
    assert tasks.of("other") == []


def test_what_is_known_of_a_task_later_counts(tasks):
    tasks.add("a", None, "group")
    tasks.add("a", "starter", "group")
    tasks.add("a", "starter", "group")
    assert tasks.of("starter") == tasks.of("group") == ["a"]
    tasks.add("a", "starter")
    assert tasks.of("group") == []
    tasks.add("a", None)
    assert len(tasks) == 0


def test_a_task_that_was_removed_is_not_found(tasks):
    tasks.add("a", "starter")
    tasks.remove("a")
    tasks.remove("unknown")
    assert tasks.of("starter") == []


def test_a_task_whose_group_has_the_id_of_who_started_it_is_kept_once(tasks):
    tasks.add("a", "starter", "starter")
    assert tasks.of("starter") == ["a"]
    tasks.remove("a")
    assert tasks.of("starter") == []


def test_ids_that_no_task_has_are_not_kept(tasks):
    tasks.add("a", "x" * 10_000)
    assert len(tasks) == 0


def test_a_task_that_nobody_has_started_is_not_kept(tasks):
    tasks.add("a", None, "")
    assert len(tasks) == 0


def test_the_oldest_are_forgotten(tasks):
    for number in range(MAX_UNPLANNED + 1):
        tasks.add(str(number), "starter")
    assert len(tasks) == MAX_UNPLANNED
    assert tasks.of("starter")[0] == "1"
