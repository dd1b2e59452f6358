from __future__ import annotations

import os

import pytest

from celery_wsprogress.worker.cancel import table as tables
from celery_wsprogress.worker.cancel.table import REASON_BYTES, CancelTable, key_of


def reasons(table, *task_ids):
    return [table.reason(key_of(one)) for one in task_ids]


def test_what_was_added_is_found_with_its_reason():
    table = CancelTable(slots=4)
    assert table.add("a", "enough")
    assert table.add("b", "")
    assert reasons(table, "a", "b", "c") == ["enough", "", None]


def test_what_is_there_already_keeps_its_reason():
    table = CancelTable(slots=4)
    table.add("a", "enough")
    assert not table.add("a", "another")
    assert reasons(table, "a") == ["enough"]


def test_each_new_task_counts_as_a_change():
    table = CancelTable(slots=4)
    table.add("a", "")
    table.add("a", "")
    table.add("b", "")
    assert table.changes[0] == 2


def test_tasks_that_have_ended_make_room():
    table = CancelTable(slots=2)
    table.add("a", "")
    table.add("b", "kept")
    table.keep({"b", "d"})
    assert len(table) == 1
    assert table.add("c", "new")
    assert reasons(table, "a", "b", "c") == [None, "kept", "new"]


def test_no_more_than_there_is_room_for(caplog):
    table = CancelTable(slots=2)
    assert [table.add(one, "") for one in "abc"] == [True, True, False]
    assert reasons(table, "a", "b", "c") == ["", "", None]
    assert "More than 2 running tasks" in caplog.text


@pytest.mark.parametrize("reason", ["é" * 500, "a" + "é" * 500, "\udcff", "\0"])
def test_a_reason_is_cut_between_two_characters(reason):
    table = CancelTable(slots=2)
    table.add("a", reason)
    table.add("b", "after it")
    shown, after = reasons(table, "a", "b")
    assert len(shown.encode()) < REASON_BYTES
    assert reason.encode(errors="replace").decode().startswith(shown)
    assert after == "after it"


def test_two_neighbours_are_no_third():
    """The bytes of a key may stand across two keys; that is no entry."""
    table = CancelTable(slots=2)
    table.add("a", "")
    table.add("b", "")
    across = key_of("a")[8:] + key_of("b")[:8]
    assert table.reason(across) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
def test_a_forked_process_sees_what_is_added_after_the_fork():
    table = CancelTable(slots=4)
    ours, childs = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.read(ours[0], 1)
        os.write(childs[1], (table.reason(key_of("a")) or "none").encode())
        os._exit(0)
    table.add("a", "enough")
    os.write(ours[1], b".")
    assert os.read(childs[0], 100) == b"enough"
    os.waitpid(pid, 0)
    for end in (*ours, *childs):
        os.close(end)


def test_a_worker_has_a_table_of_its_own():
    first = tables.renew()
    first.add("a", "")
    assert tables.renew() is tables.current_table() is not first
    assert len(tables.current_table()) == 0
