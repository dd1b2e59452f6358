"""The Python side, by the transcripts that the tests of the browser's side read too.

``tests/static/pure.test.mjs`` holds the modules in JavaScript against the very same files: what
stands in one of them, both do.
"""

from __future__ import annotations

import pytest
from support.transcripts import FOLDER, delivered, read_events, transcript

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.client.resume_state import ResumeState
from celery_wsprogress.hub.commands import COMMANDS
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.selector import Selector, SelectorField
from celery_wsprogress.protocol.close_codes import is_final, restart_delay


def cases(name):
    """What one of the files holds, a test for each."""
    return [
        pytest.param(one, id=str(one.get("name", number)))
        for number, one in enumerate(transcript(name))
    ]


@pytest.mark.parametrize("case", cases("lives"))
def test_a_log_is_delivered_and_shown_as_the_browser_reads_it(case):
    frames, snapshot = delivered(read_events(case["log"]))
    assert frames == case["frames"]
    assert snapshot == case["snapshot"]


@pytest.mark.parametrize("case", cases("backoff"))
def test_waits(case):
    backoff = Backoff(lambda: case["chance"])
    assert [backoff.next() for _ in case["waits"]] == case["waits"]
    backoff.reset()
    assert backoff.next() == case["waits"][0]


@pytest.mark.parametrize("case", cases("closing"))
def test_what_a_close_code_says(case):
    assert is_final(case["code"]) == case["final"]
    assert restart_delay(case["code"], case["reason"]) == case["delay"]


@pytest.mark.parametrize("case", cases("selectors"))
def test_what_a_selector_means(case):
    [(field, value)] = case["fields"].items()
    operation = Operation(first_seen_at=0.0, **case["operation"])
    assert Selector(SelectorField(field), value).matches(operation) == case["selects"]


@pytest.mark.parametrize("case", cases("memory"))
def test_what_a_client_remembers_and_asks_for_again(case):
    memory = ResumeState()
    for step in case["steps"]:
        if "add" in step:
            memory.add([step["add"]])
        elif "remove" in step:
            memory.remove([step["remove"]])
        elif "accept" in step:
            assert memory.is_new(step["accept"]) == step["new"]
        else:
            asked = list(memory.resume())
            assert asked == step["resume"]
            assert {one["command"] for one in asked} <= COMMANDS.keys()


def test_the_browsers_side_reads_all_of_them():
    script = (FOLDER.parent / "static" / "pure.test.mjs").read_text()
    assert [
        one.stem for one in FOLDER.glob("*.json") if f'transcript("{one.stem}")' not in script
    ] == []
