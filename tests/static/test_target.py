"""What an element follows: several tasks as one bar, and tokens that it fetches for them."""

from __future__ import annotations

import json
import uuid

import pytest
from msgspec import structs
from support.conditions import eventually
from support.sample_events import completed, error, progress, result, status
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a key that is long enough for HS256"


@pytest.fixture(scope="module")
def closed_sidecar(redis_server):
    """One with a key, of the same log."""
    with SidecarThread(BrokerAddress(redis_server.url), key=KEY) as closed:
        yield closed


@pytest.fixture
def write_to(write):
    """Write events of a task."""

    def write_to(task, *events):
        write(*[structs.replace(one, operation_id=task) for one in events])

    return write_to


def started():
    return status("started", at=1.0, metadata={}, operation_type="t")


def part(page, name):
    return page.locator(f"celery-progress [part={name}]")


# Several tasks.


def test_several_tasks_are_one_bar_to_the_end_of_the_last(logged_page_of, write_to):
    tasks = [str(uuid.uuid4()) for _ in range(4)]
    page = logged_page_of(f'<celery-progress task-ids=" {" ".join(tasks)} "></celery-progress>')
    element, bar = page.locator("celery-progress"), part(page, "bar")
    expect(part(page, "status")).to_have_text("waiting for updates")
    expect(bar).to_have_accessible_name("tasks")
    write_to(tasks[0], started(), result(7, at=2.0), completed(at=2.0, duration=1.0))
    write_to(tasks[1], started(), progress(0.5, at=2.0))
    # Of the other two nothing was heard: they wait.
    expect(bar).to_have_attribute("aria-valuenow", "37")
    expect(part(page, "figures")).to_contain_text("1 of 4")
    expect(element).to_have_attribute("state", "running")
    for task in tasks[1:3]:
        write_to(task, started(), completed(at=3.0, duration=2.0))
    expect(bar).to_have_attribute("aria-valuenow", "75")
    expect(element).to_have_attribute("state", "running")
    write_to(tasks[3], started(), error("broke", at=4.0, duration=3.0))
    expect(element).to_have_attribute("state", "error")
    expect(part(page, "error")).to_have_text("ValueError: broke")
    expect(part(page, "figures")).to_contain_text("4 of 4")
    expect(part(page, "result")).to_be_hidden()


def test_the_tasks_of_a_bar_can_be_others(logged_page_of, write_to):
    first, second = (str(uuid.uuid4()) for _ in range(2))
    write_to(first, started(), completed(at=2.0, duration=1.0))
    write_to(second, started(), progress(0.5, at=2.0))
    page = logged_page_of(f'<celery-progress task-ids="{first}" label="Files"></celery-progress>')
    bar, element = part(page, "bar"), page.locator("celery-progress")
    expect(element).to_have_attribute("state", "completed")
    element.evaluate("(one, ids) => one.setAttribute('task-ids', ids)", f"{first}\n{second}")
    expect(bar).to_have_attribute("aria-valuenow", "75")
    expect(bar).to_have_accessible_name("Files")
    # One task is named before several.
    element.evaluate("(one, id) => one.setAttribute('task-id', id)", second)
    expect(bar).to_have_attribute("aria-valuenow", "50")


# Tokens.


@pytest.mark.parametrize("written", [str, lambda token: json.dumps({"token": token})])
def test_tokens_are_fetched_from_an_address_and_renewed(
    logged_page_of, life, closed_sidecar, written
):
    asked = []

    def answer(route):
        asked.append(route.request.url)
        # Always one that has a few seconds left, however long the page took to ask.
        route.fulfill(body=written(create_token(life.id, 3.0, key=KEY)))

    life(started(), progress(0.5, at=2.0))
    page = logged_page_of(
        f'<celery-progress task-id="{life.id}" url="{closed_sidecar.url}"'
        ' token-url="token?operation=a"></celery-progress>',
        tokens=answer,
    )
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "50")
    eventually(lambda: page.evaluate("1") and len(asked) > 1, what="a second token")
    assert asked[0] == page.url.rsplit("/", 1)[0] + "/token?operation=a"
    life(progress(0.75, at=3.0))
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "75")
    page.unroute_all(behavior="ignoreErrors")


def test_bars_with_one_address_share_a_token(logged_page_of, write_to, closed_sidecar):
    tasks, asked = [str(uuid.uuid4()) for _ in range(3)], []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(json={"token": create_token(tasks, key=KEY)})

    for task in tasks:
        write_to(task, started(), completed(at=2.0, duration=1.0))
    how = f'url="{closed_sidecar.url}" token-url="token?all"'
    page = logged_page_of(
        "".join(f"<celery-progress task-id={one} {how}></celery-progress>" for one in tasks),
        tokens=answer,
    )
    expect(page.locator("celery-progress[state=completed]")).to_have_count(3)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": 403}, "403"),
        ({"body": "<title>Log in</title>", "content_type": "text/html; charset=utf-8"}, "200"),
    ],
)
def test_who_gets_no_token_may_not_watch_and_an_operator_reads_why(
    logged_page_of, life, closed_sidecar, answer, why
):
    page = logged_page_of(
        f'<celery-progress task-id="{life.id}" url="{closed_sidecar.url}"'
        ' token-url="token?x"></celery-progress>',
        tokens=lambda route: route.fulfill(**answer),
    )
    expect(part(page, "status")).to_have_text("not available")
    assert [line for line in page.lines if f"token?x answered {why}: no token" in line]


def test_a_server_of_tokens_that_is_down_is_asked_again(logged_page_of, life, closed_sidecar):
    answers = iter([{"status": 503}, {"json": {"token": create_token(life.id, key=KEY)}}])
    life(started(), progress(0.5, at=2.0))
    page = logged_page_of(
        f'<celery-progress task-id="{life.id}" url="{closed_sidecar.url}"'
        ' token-url="token?y"></celery-progress>',
        tokens=lambda route: route.fulfill(**next(answers)),
    )
    expect(part(page, "status")).to_have_text("no connection")
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "50")
    assert [line for line in page.lines if "token?y answered 503" in line]
