from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.publishing.progress_schedule import ProgressSchedule
from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
from celery_wsprogress.worker.run_info import RunInfo

RUN = RunInfo("op-1", "tasks.demo", "r1")


class Slot(ProgressSlot):
    """A slot that counts how often anybody looks when it is due."""

    __slots__ = ("_due", "looks")

    def __init__(self):
        self.looks = 0
        super().__init__(RUN)

    @property
    def due(self):
        self.looks += 1
        return self._due

    @due.setter
    def due(self, value):
        self._due = value


@given(
    st.lists(st.tuples(st.sampled_from(["add", "take", "next"]), st.integers(0, 3)), max_size=60)
)
def test_the_slot_that_is_due_first_is_taken_first(steps):
    schedule = ProgressSchedule(1.0)
    slots = [ProgressSlot(RUN) for _ in range(4)]
    now = 0.0
    for step, index in steps:
        now += 0.1
        waiting = [slot for slot in slots if slot.due is not None]
        slot = slots[index]
        if step == "add" and slot not in waiting:
            schedule.add(slot)
            assert slot.due == slot.last_sent_at + 1.0
        elif step == "take":
            schedule.take(slot, now)
            assert slot.due is None
        elif step == "next" and waiting:
            first = min(one.due for one in waiting)
            assert schedule.next_due() == first
            schedule.take_next(now)
            assert [one for one in waiting if one.due is None and one.last_sent_at == now]
        assert len(schedule) == sum(one.due is not None for one in slots)


def test_a_slot_is_scheduled_without_a_look_at_the_others():
    """With 10,000 active operations a report costs what it costs with one."""
    schedule = ProgressSchedule(1.0)
    slots = [Slot() for _ in range(10_000)]
    for number, slot in enumerate(slots):
        slot.last_sent_at = float(number)
        schedule.add(slot)
    for slot in slots:
        slot.looks = 0
    late = Slot()
    late.last_sent_at = 5_000.5
    schedule.add(late)
    assert schedule.next_due() == 1.0
    schedule.take(late, 5_001.5)
    assert sum(slot.looks for slot in [*slots, late]) <= 4


def test_slots_that_were_taken_leave_nothing_behind():
    """A task that sets a status after each progress, faster than progress is sent."""
    schedule = ProgressSchedule(1_000.0)
    slots = [Slot() for _ in range(2)]
    for number in range(10_000):
        for slot in slots:
            schedule.add(slot)
            schedule.take(slot, float(number))
    slots[0].looks = slots[1].looks = 0
    schedule.add(slots[0])
    schedule.next_due()
    # What is outdated would have to be looked at.
    assert slots[0].looks + slots[1].looks < 600


def test_detached_slots_can_be_scheduled_elsewhere():
    schedule = ProgressSchedule(1.0)
    slot = ProgressSlot(RUN)
    schedule.add(slot)
    schedule.detach()
    assert slot.due is None
    assert len(schedule) == 0
