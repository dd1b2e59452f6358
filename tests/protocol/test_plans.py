"""Plans of workflows, as they are written on the log."""

from __future__ import annotations

import pytest
from support.sample_events import plan

from celery_wsprogress.protocol.batches import decode_event, encode_event


def test_a_plan_is_read_as_it_was_written():
    written = plan(("chain", -1), ("task", 0, "a", "tasks.a", 2.5), parent_id="outer", tags=["t"])
    assert decode_event(encode_event(written)) == written


def test_later_parts_say_neither_the_number_of_tasks_nor_the_type():
    text = encode_event(plan(("task", 0, "d", "tasks.d"), first=4))
    assert b"operation_type" not in text
    assert b'"tasks"' not in text.replace(b"tasks.d", b"")


@pytest.mark.parametrize(
    "node",
    [
        b'["task",-2,"a","t",1]',
        b'["task",10000,"a","t",1]',
        b'["ring",0,"a","t",1]',
        b'["task",0,"a","t",0]',
        b'["task",0,"a","t",1e9]',
        b'["task",0,"%b","t",1]' % (b"x" * 1_001),
    ],
)
def test_a_node_out_of_range_makes_the_part_malformed(node):
    text = encode_event(plan(("task", 0, "a", "t"), first=1))
    good = b'["task",0,"a","t",1.0]'
    assert good in text
    assert decode_event(text.replace(good, node)) is None
