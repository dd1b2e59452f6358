from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.access.grants import (
    ALL_OPERATIONS,
    DEFAULT_RIGHTS,
    Grant,
    Pattern,
    PatternKind,
    View,
)
from celery_wsprogress.access.held_grants import MAX_GLOBS, MAX_GRANT_BYTES, HeldGrants
from celery_wsprogress.errors import TooManyTokens
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.protocol.globs import matches_glob

OPERATION = Operation(
    "op", 0.0, operation_type="proj.add", tags=["red"], group_id="g", root_id="r",
    workflow_ids=("w",), sub="anna",
)  # fmt: skip
COVERING = [
    ALL_OPERATIONS,
    Pattern(PatternKind.ID, "op"),
    Pattern(PatternKind.TYPE, "proj.*"),
    Pattern(PatternKind.TAG, "red"),
    Pattern(PatternKind.GROUP, "g"),
    Pattern(PatternKind.ROOT, "r"),
    Pattern(PatternKind.ROOT, "op"),
    Pattern(PatternKind.WORKFLOW, "w"),
    Pattern(PatternKind.SUB, "anna"),
]
OTHERS = [
    Pattern(PatternKind.ID, "r"),
    Pattern(PatternKind.ID, "g"),
    Pattern(PatternKind.TYPE, "proj"),
    Pattern(PatternKind.TAG, "proj.add"),
    Pattern(PatternKind.TAG, "*"),
    Pattern(PatternKind.GROUP, "*"),
    Pattern(PatternKind.GROUP, "op"),
    Pattern(PatternKind.ROOT, "g"),
    Pattern(PatternKind.WORKFLOW, "op"),
    Pattern(PatternKind.SUB, "op"),
]


def grant(*patterns, until=100.0, **more):
    return Grant(frozenset(patterns), until, **more)


def holding(*grants):
    held = HeldGrants()
    for one in grants:
        held.add(one)
    return held


def test_the_holders_are_those_of_the_grants_that_are_held():
    held = holding(grant(subject="anna", until=10.0), grant(ALL_OPERATIONS, subject="anna"))
    first = held.subjects
    assert first == {"anna"}
    held.add(grant(subject="anna", until=20.0))
    held.add(grant())
    assert held.subjects is first
    held.add(grant(subject="eva", until=50.0))
    assert held.subjects == {"anna", "eva"}
    held.drop_ended(60.0)
    assert held.subjects == {"anna"}
    held.drop_if(lambda one: one.subject == "anna")
    assert held.subjects == frozenset()


@pytest.mark.parametrize("pattern", COVERING)
def test_patterns_that_cover_an_operation(pattern):
    one = grant(pattern)
    assert [*holding(one, grant(*OTHERS)).covering(OPERATION)] == [one]


def test_patterns_that_do_not():
    assert [*holding(grant(*OTHERS)).covering(OPERATION)] == []
    bare = Operation("op", 0.0)
    assert [*holding(grant(*COVERING[2:6])).covering(bare)] == []


def test_of_an_id_alone_only_its_own_pattern_and_everything_is_known():
    one, everything = grant(COVERING[1]), grant(ALL_OPERATIONS)
    held = holding(grant(*COVERING[2:]), one, everything)
    assert [*held.covering_id("op")] == [everything, one]


@pytest.mark.parametrize("selector", [*COVERING[2:], ALL_OPERATIONS])
def test_a_selector_is_covered_by_its_pattern_and_by_everything(selector):
    own, everything = grant(selector), grant(ALL_OPERATIONS, view=View.PROGRESS)
    held = holding(own, everything, grant(*OTHERS))
    assert {*held.covering_selector(selector)} == {own, everything}
    assert [*holding(grant(*OTHERS)).covering_selector(selector)] == []


def test_a_glob_covers_narrower_globs():
    one = grant(Pattern(PatternKind.TYPE, "proj.*"))
    for value, found in (("proj.a*", [one]), ("proj.add", [one]), ("pro*", []), ("*", [])):
        assert [*holding(one).covering_selector(Pattern(PatternKind.TYPE, value))] == found


patterns = st.sampled_from([*COVERING, *OTHERS])
grants = st.builds(
    Grant,
    st.frozensets(patterns, max_size=4),
    st.sampled_from([10.0, 20.0, 30.0]),
    token_id=st.sampled_from([None, "a"]),
    rights=st.just(DEFAULT_RIGHTS),
    view=st.sampled_from(View),
    subject=st.none(),
)
steps = st.lists(grants | st.sampled_from([5.0, 10.0, 25.0]) | st.just("a"), max_size=20)


def matches(pattern):
    """Whether a pattern covers OPERATION, written down once more."""
    match pattern:
        case ("id", value):
            return value in {"op", "*"}
        case ("type", value):
            return matches_glob("proj.add", value)
    return pattern in COVERING


@given(steps)
def test_what_is_found_is_what_a_look_at_each_of_them_finds(steps):
    held, model = HeldGrants(), {}
    for step in steps:
        if isinstance(step, Grant):
            held.add(step)
            key = step.patterns, step.view
            if key not in model or model[key].expires_at < step.expires_at:
                model[key] = step
        elif isinstance(step, float):
            kept = {key: one for key, one in model.items() if one.expires_at > step}
            assert held.drop_ended(step) == (len(kept) < len(model))
            model = kept
        else:
            kept = {key: one for key, one in model.items() if one.token_id != step}
            assert held.drop_if(lambda one: one.token_id == "a") == (len(kept) < len(model))
            model = kept
        assert [*held] == [*model.values()]
        assert len(held) == len(model)
        assert held.earliest_end == min((o.expires_at for o in model.values()), default=math.inf)
        covering = {one for one in model.values() if any(map(matches, one.patterns))}
        assert {*held.covering(OPERATION)} == covering


def test_a_renewed_grant_takes_the_place_of_the_old_one():
    held = holding(grant(COVERING[1], until=10.0, token_id="a"), grant(OTHERS[0], until=5.0))
    for number in range(100):
        held.add(grant(COVERING[1], until=20.0 + number, token_id=f"t{number}"))
    held.add(grant(COVERING[1], until=15.0, token_id="earlier"))
    assert held.drop_ended(5.0)
    assert [*held] == [grant(COVERING[1], until=119.0, token_id="t99")]
    assert held.earliest_end == 119.0
    assert not held.drop_ended(118.0)
    assert held.drop_ended(119.0)
    assert [*held.covering(OPERATION)] == []


def test_two_grants_may_name_the_same():
    short, long = grant(COVERING[1]), grant(COVERING[1], until=200.0, subject="user")
    held = holding(short, long)
    assert held.drop_ended(100.0)
    assert [*held.covering(OPERATION)] == [long]


def test_thousands_of_grants_fit_and_one_is_found_among_them():
    held = HeldGrants()
    for number in range(2_000):
        held.add(grant(Pattern(PatternKind.ID, f"{number:036}")))
    assert len(held) == 2_000
    assert len([*held.covering(Operation(f"{1_000:036}", 0.0))]) == 1


def test_what_is_too_much_is_refused_and_changes_nothing():
    held = holding(grant(COVERING[1]))
    large = grant(Pattern(PatternKind.TAG, "x" * MAX_GRANT_BYTES))
    globs = grant(*(Pattern(PatternKind.TYPE, f"{number}.*") for number in range(MAX_GLOBS + 1)))
    for one in (large, globs):
        with pytest.raises(TooManyTokens, match="too much"):
            held.add(one)
    assert [*held] == [grant(COVERING[1])]


def test_what_has_ended_makes_room():
    held = HeldGrants()
    for number in range(MAX_GLOBS):
        held.add(grant(Pattern(PatternKind.TYPE, f"{number}.*"), until=10.0))
    another = grant(Pattern(PatternKind.TYPE, "proj.*"), until=20.0)
    with pytest.raises(TooManyTokens):
        held.add(another)
    held.drop_ended(10.0)
    held.add(another)
    assert [*held.covering(OPERATION)] == [another]
