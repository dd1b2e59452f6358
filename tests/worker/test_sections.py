"""How far a section is, from its reports, phases and loops."""

from __future__ import annotations

import pytest

from celery_wsprogress.worker import sections
from celery_wsprogress.worker.sections import COMPLETED, ERROR, MAX_LOOPS, WAITING, Loop, Section


def loop_of(section, total, count, *, closed=False):
    loop = Loop(section, total, None)
    section.add_loop(loop)
    loop.count, loop.closed = count, closed
    return loop


@pytest.fixture
def whole():
    return Section(object())


def test_a_phase_without_a_weight_takes_half_of_what_is_left(whole):
    weights = [whole.begin_phase(name, None).weight for name in "abc"]
    assert weights == [0.5, 0.25, 0.125]


def test_phases_together_are_no_more_than_the_whole(whole):
    weights = [whole.begin_phase(name, 0.4).weight for name in "abcd"]
    assert weights == pytest.approx([0.4, 0.4, 0.2, 0.0])


def test_declared_phases_share_what_is_left_in_their_ratio(whole):
    whole.begin_phase("before", 0.2).state = COMPLETED
    whole.declare([("a", 1), ("b", 3), ("none", 0)])
    assert [phase.weight for phase in whole.phases] == pytest.approx([0.2, 0.2, 0.6, 0.0])
    assert [phase.state for phase in whole.phases[1:]] == [WAITING] * 3
    assert whole.begin_phase("b", None) is whole.phases[2]
    assert whole.begin_phase("b", None) is whole.phases[4]


def test_declared_phases_of_no_weight_have_no_share(whole):
    whole.declare([("a", 0)])
    assert whole.fraction == 0.0


def test_a_phase_that_is_completed_is_full_and_one_that_failed_is_where_it_was(whole):
    first, second = whole.begin_phase("a", 0.5), whole.begin_phase("b", 0.5)
    first.report(0.1)
    second.report(0.5)
    assert whole.fraction == pytest.approx(0.3)
    first.state, second.state = COMPLETED, ERROR
    assert whole.fraction == pytest.approx(0.75)


def test_a_lower_report_changes_nothing_in_a_phase(whole):
    phase = whole.begin_phase("a", 1.0)
    for fraction in (0.5, 0.2):
        phase.report(fraction)
    assert phase.fraction == 0.5


def test_a_bar_without_phases_goes_back_as_it_is_told(whole):
    for fraction in (0.5, 0.2):
        whole.report(fraction)
    assert whole.fraction == 0.2


def test_loops_at_the_same_time_add_up(whole):
    loop_of(whole, 10, 5)
    loop_of(whole, 30, 5)
    # Half of the ten were done, and the bar does not go back.
    assert whole.fraction == 0.5
    loop_of(whole, 10, 30)
    assert whole.fraction == pytest.approx(40 / 70)


def test_a_loop_after_another_one_begins_anew(whole):
    loop_of(whole, 10, 10, closed=True)
    loop_of(whole, 10, 1)
    assert whole.fraction == pytest.approx(0.1)


def test_a_report_after_a_loop_replaces_it(whole):
    loop_of(whole, 10, 10, closed=True)
    whole.report(0.3)
    assert whole.fraction == pytest.approx(0.3)


def test_in_a_phase_no_loop_goes_back(whole):
    phase = whole.begin_phase("a", 1.0)
    loop_of(phase, 10, 9, closed=True)
    loop_of(phase, 10, 1)
    assert whole.fraction == pytest.approx(0.9)


def test_a_loop_before_the_first_phase_is_not_forgotten(whole):
    loop_of(whole, 10, 2, closed=True)
    whole.begin_phase("a", 0.1)
    assert whole.fraction == pytest.approx(0.2)


def test_more_items_than_were_expected_are_no_more_than_all(whole):
    loop = loop_of(whole, 2, 3)
    assert (whole.fraction, loop.units) == (1.0, 3)


def test_fewer_items_than_were_expected_are_all_there_were(whole):
    loop = loop_of(whole, 10, 3)
    loop.finish()
    assert whole.fraction == 1.0


def test_a_loop_of_nothing_says_nothing(whole):
    loop_of(whole, 0, 0)
    assert whole.fraction == 0.0


def test_the_code_in_a_loop_moves_its_item(whole):
    loop = loop_of(whole, 4, 1)
    loop.item().report(0.5)
    assert whole.fraction == pytest.approx(1.5 / 4)
    loop.count = 2
    assert whole.fraction == 0.5
    loop.item().begin_phase("a", 0.5).report(0.5)
    assert whole.fraction == pytest.approx(2.25 / 4)


def test_what_is_left_in_an_item_that_is_over_moves_nothing(whole):
    loop = loop_of(whole, 4, 1)
    item = loop.item()
    loop.count = 2
    loop.item()
    item.report(0.9)
    assert whole.fraction == 0.5


def test_any_number_of_loops_adds_up(whole):
    first = loop_of(whole, 2 * MAX_LOOPS, 0)
    for _ in range(5 * MAX_LOOPS):
        loop_of(whole, 1, 1, closed=True)
    assert len(whole.loops) <= MAX_LOOPS
    assert whole.fraction == pytest.approx(5 / 7)
    first.count = 2 * MAX_LOOPS
    assert whole.fraction == 1.0


def test_too_many_phases_have_no_share(whole):
    for number in range(2 * sections.MAX_PHASES):
        whole.begin_phase(f"phase {number}", 0.5 / sections.MAX_PHASES)
    assert len(whole.phases) == sections.MAX_PHASES


def test_any_depth_can_be_measured(whole):
    section = whole
    for _ in range(2_000):
        section = section.begin_phase("a", 1.0)
        loop_of(section, 1, 0)
    section.report(1.0)
    assert whole.fraction == 0.0
