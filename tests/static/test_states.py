"""What people read while there is nothing to show, and what a page does to an element."""

from __future__ import annotations

import json
import re

import pytest
from msgspec import structs
from support.conditions import eventually
from support.ports import free_port
from support.sample_events import completed, error, log, progress, result, status
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a key that is long enough for HS256"


def started(**more):
    return status("started", at=1.0, metadata={}, operation_type="t", **more)


def part(page, name):
    return page.locator(f"celery-progress [part={name}]")


# What is said.


def test_without_a_sidecar_it_says_that_there_is_no_connection(logged_page_of):
    url = f"ws://127.0.0.1:{free_port()}"
    page = logged_page_of(f'<celery-progress task-id=a url="{url}"></celery-progress>' * 2)
    expect(part(page, "status").first).to_have_text("no connection")
    expect(part(page, "message").first).to_contain_text("Trying again ")
    said = [line for line in page.lines if line.startswith("<celery-progress>")]
    assert len(said) == 1, "once, however many bars there are"
    assert f"no connection to {url}/" in said[0]


def test_who_may_not_watch_reads_no_words_of_the_protocol(logged_page_of, redis_server):
    with SidecarThread(BrokerAddress(redis_server.url), key=KEY) as closed:
        page = logged_page_of(f'<celery-progress task-id=a url="{closed.url}"></celery-progress>')
        expect(part(page, "status")).to_have_text("not available")
        expect(part(page, "error")).to_have_text("This progress cannot be shown here.")
        assert "authenticate" not in page.locator("celery-progress").inner_text()
        assert [line for line in page.lines if "a may not be shown" in line], "an operator reads it"


def test_an_id_that_nobody_hears_of_says_so_after_a_while_and_begins_all_the_same(
    logged_page_of, life
):
    page = logged_page_of(f'<celery-progress task-id="{life.id}"></celery-progress>')
    expect(part(page, "status")).to_have_text("waiting for updates")
    expect(part(page, "message")).to_have_text("No update of this task has arrived yet.")
    expect(part(page, "status")).to_have_text("no updates yet")
    assert [line for line in page.lines if f"nothing was heard of {life.id}" in line]
    assert life.id not in page.locator("celery-progress").inner_text(), "it says nothing to them"
    expect(part(page, "bar")).to_have_accessible_name("task")
    life(started(), progress(0.5, at=2.0, message="half"))
    expect(part(page, "message")).to_have_text("half")
    expect(part(page, "label")).to_have_text("t")


def test_a_status_has_a_line_of_its_own_where_there_is_little_room(logged_page_of, life):
    life(started(), status("waiting for the mirror", at=2.0))
    label = "a-name-that-has-no-place-to-break-and-is-rather-long"
    page = logged_page_of(
        f'<main style="inline-size: 13rem"><celery-progress task-id="{life.id}" label="{label}">'
        "</celery-progress></main>"
    )
    expect(part(page, "status")).to_have_text("waiting for the mirror")
    lines = part(page, "status").evaluate(
        "(one) => { const range = document.createRange(); range.selectNodeContents(one);"
        "return new Set([...range.getClientRects()].map(({ top }) => top)).size }"
    )
    assert lines == 1
    box, label = (page.locator(one).bounding_box() for one in ("main", "[part=label]"))
    assert label["width"] > 0.9 * box["width"], "the name has the line above, not a column"


def test_what_an_exception_said_and_the_result_can_be_hidden(logged_page_of, life, write):
    told = {
        "done": [result({"rows": 7}, at=2.0), completed(at=3.0, duration=1.0)],
        "failed": [error("of the database", at=2.0, duration=1.0)],
        "again": [status("retrying", at=2.0, message="KeyError: of the database", attempt=1)],
    }
    for name, events in told.items():
        run = [started(), progress(0.5, at=1.5), *events]
        write(*[structs.replace(one, operation_id=f"{life.id} {name}") for one in run])
    hides = "no-result no-error-detail"
    bars = [
        f'<celery-progress task-id="{life.id} {name}" {hides}></celery-progress>' for name in told
    ]
    page = logged_page_of("".join(bars))
    bar = {name: page.locator(f"celery-progress[task-id$={name}]") for name in told}
    expect(bar["done"]).to_have_attribute("state", "completed")
    expect(bar["failed"]).to_have_attribute("state", "error")
    expect(bar["again"]).to_have_attribute("state", "retrying")
    expect(bar["failed"].locator("[part=status]")).to_have_text("failed")
    # Screen readers are told as little.
    expect(bar["failed"].locator("[part=live]")).to_have_text("t: failed, 50%")
    assert "rows" not in bar["done"].inner_text()
    for name in ("failed", "again"):
        assert "database" not in bar[name].inner_text()
    bar["failed"].evaluate("(one) => one.removeAttribute('no-error-detail')")
    expect(bar["failed"].locator("[part=error]")).to_have_text("ValueError: of the database")
    bar["done"].evaluate("(one) => one.removeAttribute('no-result')")
    expect(bar["done"].locator("[part=result]")).to_have_text('{"rows":7}')


def test_a_task_that_runs_and_says_nothing_moves_and_one_that_is_stalled_does_not(
    logged_page_of, life
):
    page = logged_page_of(f'<celery-progress task-id="{life.id}"></celery-progress>')
    life(started())
    element = page.locator("celery-progress")
    expect(element).to_have_attribute("indeterminate", "")
    assert part(page, "bar").get_attribute("aria-valuenow") is None
    life(status("stalled", at=2.0))
    expect(element).to_have_attribute("status", "stalled")
    expect(element).not_to_have_attribute("indeterminate", "")
    life(progress(0.25, at=3.0))
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "25")


@pytest.mark.parametrize(
    ("html", "wrapped", "shown"),
    [
        ('lang="en_US"', "{}", "50%"),
        ('lang="auto"', "{}", re.compile("50.?%")),
        ('lang="zh_Hans_CN.UTF-8"', "{}", "50%"),
        ('lang="de"', "{}", "50\u00a0%"),
        ('lang="de"', '<div lang="en">{}</div>', "50%"),
    ],
)
def test_a_language_that_is_none_is_no_reason_to_show_nothing(
    logged_page_of, life, html, wrapped, shown
):
    life(started(), progress(0.5, at=2.0))
    bar = f'<celery-progress task-id="{life.id}"></celery-progress>'
    page = logged_page_of(wrapped.format(bar), html=html)
    expect(part(page, "figures")).to_have_text(shown)


def test_the_language_around_a_shadow_counts(logged_page_of, life):
    life(started(), progress(0.5, at=2.0))
    page = logged_page_of('<div id=host lang="de"></div>', html='lang="en"')
    page.evaluate(
        """(id) => { const root = document.querySelector("#host").attachShadow({ mode: "open" });
            root.innerHTML = `<celery-progress task-id="${id}"></celery-progress>`; }""",
        life.id,
    )
    expect(part(page, "figures")).to_have_text("50\u00a0%")


def test_some_words_may_be_others(logged_page_of, life):
    life(started(), progress(0.5, at=2.0, current=1, total=2, eta=3.0))
    script = "customElements.whenDefined('celery-progress').then((One) => (One.words = "
    words = {"running": "läuft", "uploading": "lädt hoch", "of": None, "left": 3}
    head = f"<script>{script}{json.dumps(words)}))</script>"
    page = logged_page_of(f'<celery-progress task-id="{life.id}"></celery-progress>', head=head)
    expect(part(page, "status")).to_have_text("läuft")
    expect(part(page, "figures")).to_contain_text("1 of 2")
    for word, shown in (("uploading", "lädt hoch"), ("constructor", "constructor"), ("of", "of")):
        life(status(word, at=3.0))
        expect(part(page, "status")).to_have_text(shown)


def test_whole_numbers_are_shown_as_they_are(logged_page_of, life):
    given = {
        "id": 12345678901234567890,
        "list": [9007199254740993, 1.5],
        "text": '9007199254740993"',
    }
    life(started(), result(given, at=2.0), completed(at=3.0, duration=1.0))
    page = logged_page_of(f'<celery-progress task-id="{life.id}"></celery-progress>')
    shown = part(page, "result")
    expect(shown).to_contain_text("12345678901234567890")
    assert json.loads(shown.inner_text()) == given


# What a page does to it.


def test_what_is_taken_from_it_comes_back(logged_page_of, life):
    life(started(), error("broke", at=2.0, duration=1.0))
    page = logged_page_of(f'<celery-progress task-id="{life.id}"></celery-progress>')
    element = page.locator("celery-progress")
    expect(element).to_have_attribute("state", "error")
    element.evaluate("(one) => { one.removeAttribute('state'); one.removeAttribute('status') }")
    expect(element).to_have_attribute("state", "error")
    expect(element).to_have_attribute("status", "error")


def test_one_that_is_moved_into_a_frame_and_back_keeps_its_looks(logged_page_of, life):
    life(started(), progress(0.5, at=2.0))
    page = logged_page_of(
        f'<iframe></iframe><celery-progress task-id="{life.id}"></celery-progress>'
    )
    height = "(one) => one.shadowRoot.querySelector('[part=bar]').getBoundingClientRect().height"
    element = page.locator("celery-progress").element_handle()
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "50")
    before = element.evaluate(height)
    assert before > 0
    move = "(one) => { document.querySelector('iframe').contentDocument.body.append(one) }"
    element.evaluate(move)
    frame = page.frame_locator("iframe").locator("celery-progress [part=bar]")
    expect(frame).to_have_attribute("aria-valuenow", "50")
    assert page.frames[1].locator("celery-progress").evaluate(height) == before
    page.evaluate(
        "document.body.append(document.querySelector('iframe').contentDocument"
        ".querySelector('celery-progress'))"
    )
    assert page.locator("celery-progress").evaluate(height) == before


NOTE = """<script>window.seen = [];
    for (const name of ["status", "log", "result", "completed"]) {
        addEventListener(`celery-${name}`, ({ detail: { event, replayed } }) => {
            seen.push(`${event.event_type}${replayed ? " again" : ""}`);
        });
    }</script>"""


def test_events_come_once_whatever_is_done_to_the_element(logged_page_of, life):
    life(started(), log("a", at=2.0))
    page = logged_page_of(
        f'<celery-progress task-id="{life.id}"></celery-progress><main></main>', head=NOTE
    )
    eventually(lambda: page.evaluate("seen") == ["status again", "log again"])
    life(log("b", at=2.5), result(7, at=3.0), completed(at=3.0, duration=2.0))
    once = ["status again", "log again", "log", "result", "completed"]
    eventually(lambda: page.evaluate("seen") == once)
    element = page.locator("celery-progress")
    for change in (
        "document.querySelector('main').append(one)",
        "document.body.moveBefore?.(one, null)",
        f"one.setAttribute('task-id', '{life.id}')",
        "one.setAttribute('token', 'another')",
        "one.setAttribute('url', one.handle ? document.querySelector('script[src]').src : '')",
        "one.remove(); await new Promise((go) => setTimeout(go, 50)); document.body.append(one)",
    ):
        element.evaluate(f"async (one) => {{ {change} }}")
        eventually(lambda: element.evaluate("(one) => one.handle?.over"))
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
        assert page.evaluate("seen") == once, change
    expect(part(page, "result")).to_have_text("7")
    # Another element of the same has them, too, and knows that they are not new.
    page.evaluate("document.body.append(document.querySelector('celery-progress').cloneNode())")
    again = ["status again", "log again", "log again", "result again", "completed again"]
    eventually(lambda: page.evaluate("seen").count("completed again") == 1)
    assert page.evaluate("seen") == once + again


def test_a_page_that_loads_itself_anew_at_a_new_end_does_so_once(open_page, sidecar, life):
    page = open_page(
        f'<celery-progress task-id="{life.id}"></celery-progress>',
        head=f"""<script type="module" src="{sidecar.http}/element.js"></script><script>
            sessionStorage.loads = 1 + Number(sessionStorage.loads ?? 0);
            addEventListener("celery-completed", ({{ detail }}) => {{
                if (!detail.replayed) location.reload();
            }});
        </script>""",
    )
    life(started(), progress(0.5, at=2.0))
    expect(page.locator("celery-progress")).to_have_attribute("state", "running")
    life(completed(at=3.0, duration=2.0))
    # Asked by a function of the page's own that outlives its loads; an evaluation would not.
    page.wait_for_function("sessionStorage.loads === '2'")
    expect(page.locator("celery-progress")).to_have_attribute("state", "completed")
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    assert page.evaluate("sessionStorage.loads") == "2"


def test_a_token_that_is_renewed_changes_nothing_that_is_seen(logged_page_of, life, redis_server):
    with SidecarThread(BrokerAddress(redis_server.url), key=KEY) as closed:
        life(started(), completed(at=3.0, duration=2.0))
        first, second = (create_token(life.id, seconds, key=KEY) for seconds in (60, 120))
        page = logged_page_of(
            f'<celery-progress task-id="{life.id}" url="{closed.url}" token="{first}">'
            "</celery-progress>",
            head=NOTE,
        )
        eventually(lambda: page.evaluate("seen") == ["status again", "completed again"])
        page.locator("celery-progress").evaluate(
            "(one, token) => one.setAttribute('token', token)", second
        )
        eventually(lambda: page.locator("celery-progress").evaluate("(one) => one.handle?.over"))
        assert page.evaluate("seen") == ["status again", "completed again"]


#: What came into browsers in the two years before the oldest ones that are supported, and after.
NEW = """
    for (const name of ["withResolvers", "try"]) delete Promise[name];
    for (const name of ["any", "timeout"]) delete AbortSignal[name];
    for (const name of ["groupBy", "hasOwn"]) name === "groupBy" && delete Object[name];
    for (const name of ["toSorted", "toReversed", "toSpliced", "with", "findLast"]) {
        delete Array.prototype[name];
    }
    for (const name of ["union", "difference", "intersection"]) delete Set.prototype[name];
    for (const name of ["map", "filter", "toArray", "some", "find"]) {
        delete Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()))[name];
    }
    delete Array.fromAsync; delete Map.groupBy; delete URL.parse; delete URL.canParse;
    delete JSON.rawJSON; delete globalThis.structuredClone; delete globalThis.scheduler;
    delete String.prototype.isWellFormed; delete String.prototype.toWellFormed;
    delete Element.prototype.moveBefore; delete Node.prototype.moveBefore;
    delete Element.prototype.checkVisibility; delete Element.prototype.setHTMLUnsafe;
    delete HTMLElement.prototype.showPopover; delete HTMLElement.prototype.togglePopover;
    for (const name of ["matches", "closest", "querySelector", "querySelectorAll"]) {
        const own = Element.prototype[name];
        Element.prototype[name] = function (selector) {
            if (/:dir|:has/.test(selector)) throw new SyntaxError(selector);
            return own.call(this, selector);
        };
    }
    const replace = CSSStyleSheet.prototype.replaceSync;
    CSSStyleSheet.prototype.replaceSync = function (text) {
        const old = text.replace(/@supports \\(color: light-dark[^]*?\\}\\n\\}/, "");
        if (/light-dark|color-mix|&/.test(old)) throw new SyntaxError("a style that is too new");
        replace.call(this, old.replace(/[^\\n]*:dir[^\\n]*/g, ""));
    };
"""


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_it_works_where_there_is_nothing_that_is_newer_than_the_oldest_browsers(
    logged_page_of, life, direction
):
    life(started(), progress(0.5, at=2.0, message="half"))
    page = logged_page_of(
        f'<celery-progress task-id="{life.id}"></celery-progress>',
        head=f"<script>{NEW}</script>",
        html=f'lang="en" dir="{direction}"',
    )
    expect(part(page, "bar")).to_have_attribute("aria-valuenow", "50")
    fill = part(page, "fill")
    assert fill.evaluate("(one) => getComputedStyle(one).backgroundImage").startswith("linear")
    life(log("a", at=2.0), result({"n": 1}, at=3.0), completed(at=3.0, duration=2.0))
    expect(part(page, "result")).to_have_text('{"n":1}')
