"""``<celery-progress>`` in Chromium, before a real sidecar, broker and worker."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from urllib.request import urlopen

import pytest
from celery import group
from dictation import Dictation
from msgspec import UNSET, structs
from support.conditions import eventually
from support.node import NODE_MODULES, require_packages
from support.sample_events import (
    chunk,
    completed,
    error,
    log,
    progress,
    queued,
    result,
    scheduled,
    status,
)
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.protocol.events import Status

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.redis]

SCREENSHOTS = Path(__file__).parents[1] / "screenshots"
KEY = "a key that is long enough for HS256"
LONG = 60_000  # ms; for machines that are busy


@pytest.fixture(scope="module")
def sidecar(stack):
    return stack[1]


def stats(sidecar):
    with urlopen(f"{sidecar.http}/status", timeout=10) as answer:
        return re.findall(rb'"connected_clients":(\d+)', answer.read())


def life_of(operation_id, *events):
    return [structs.replace(one, operation_id=operation_id) for one in events]


def started(kind):
    return status("started", at=1.0, operation_type=kind, metadata={}, attempt=1)


def looks(page, part, name):
    """What a property of the style of a part comes to."""
    found = page.locator(f"celery-progress [part={part}]")
    return found.evaluate("(part, name) => getComputedStyle(part)[name]", name)


def test_two_lines_of_html_show_a_task_to_its_end(stack, page_of, tmp_path):
    app, gate = stack[0], tmp_path / "gate"
    task = app.tasks["scenario.steps"].delay(str(gate))
    bar = page_of(f'<celery-progress task-id="{task.id}"></celery-progress>').get_by_role(
        "progressbar"
    )
    expect(bar).to_have_attribute("aria-valuenow", "25", timeout=LONG)
    expect(bar).to_have_attribute("aria-valuetext", re.compile("running, 25%, quarter"))
    expect(bar).to_have_accessible_name("scenario.steps")
    gate.touch()
    element = bar.page.locator("celery-progress")
    expect(element).to_have_attribute("state", "completed", timeout=LONG)
    expect(element.locator("[part=status]")).to_have_text("done")
    expect(element.locator("[part=result]")).to_have_text('{"parts":4}')
    expect(element.locator("[part=figures]")).to_contain_text("3 of 4 parts")
    expect(bar).to_have_attribute("aria-valuenow", "100")


def test_lines_go_on_over_a_reload_and_a_killed_sidecar(stack, page_of, tmp_path):
    app, sidecar = stack
    dictation = Dictation(app, tmp_path / "dictation")
    page = page_of(
        f'<celery-progress task-id="{dictation.id}"></celery-progress><script>window.lines = [];'
        "addEventListener('celery-log', ({ detail }) => lines.push(detail.event.data.message));"
        "</script>"
    )
    element = page.locator("celery-progress")

    def seen():
        return page.evaluate("lines")

    dictation.say(3)
    eventually(lambda: seen() == dictation.lines)
    page.reload()
    eventually(lambda: seen() == dictation.lines, what="the run from its start, after a reload")
    sidecar.kill()
    expect(element).to_have_attribute("connection", "reconnecting", timeout=LONG)
    expect(element.locator("[part=status]")).to_have_text("reconnecting")
    dictation.say(4)
    sidecar.start()
    eventually(lambda: seen() == dictation.lines, what="what was missed, once")
    expect(element).not_to_have_attribute("connection", "reconnecting")
    sidecar.stop()
    dictation.say(2)
    sidecar.start()
    dictation.say(2)
    dictation.end()
    expect(element).to_have_attribute("state", "completed", timeout=LONG)
    assert seen() == dictation.lines


def test_fifty_bars_share_one_socket(sidecar, page_of, write):
    ids = [str(uuid.uuid4()) for _ in range(50)]
    page = page_of("".join(f'<celery-progress task-id="{one}"></celery-progress>' for one in ids))
    write(*[event for one in ids for event in life_of(one, started("t"), progress(0.5, at=2.0))])
    expect(page.locator("celery-progress[state=running]")).to_have_count(50)
    assert stats(sidecar) == [b"1"]
    page.evaluate("document.body.replaceChildren()")
    eventually(lambda: stats(sidecar) == [b"0"], what="the socket is closed with the last bar")


def test_what_a_task_says_is_text(write, page_of):
    trap = "<img src=x onerror=\"document.title='caught'\">"
    told = life_of(
        trap,
        started(trap),
        status(trap, at=2.0, message=trap),
        progress(0.5, at=2.0, message=trap, current=1, total=2, unit=trap),
        log(trap, at=2.0),
        result(trap, at=3.0),
    )
    write(*told, *life_of(trap, completed(at=3.0, duration=1.0)))
    write(*life_of("failed", started(trap), error(trap, at=2.0, duration=1.0)))
    page = page_of(
        "<script type=module>const bar = (id) => { const made = document.createElement("
        "'celery-progress'); made.setAttribute('task-id', id); document.body.append(made) };"
        f"bar({trap!r}); bar('failed')</script>"
    )
    expect(page.locator("celery-progress[state=completed] [part=result]")).to_have_text(trap)
    expect(page.locator("celery-progress[state=error] [part=error]")).to_have_text(
        f"ValueError: {trap}"
    )
    expect(page.locator("celery-progress[state=completed] [part=message]")).to_have_text(trap)
    assert page.locator("img").count() == 0
    assert page.title() == "A page"


BARS = {
    "import": [started("orders.import_rows"), progress(0.42, at=9.0, message="Reading orders",
        current=1260, total=3000, unit="rows", rate=123.4, eta=65.2)],
    "fetch": [started("mirror.fetch"), progress(0.0, at=9.0, message="Listing the archive",
        current=18234, unit="files", rate=512.0, indeterminate=True)],
    "report": [started("report.build"), progress(0.9, at=9.0, message="Writing the PDF"),
        result({"pages": 12, "file": "report.pdf"}, at=9.0), completed(at=9.0, duration=83.4)],
    "convert": [started("video.convert"), progress(0.63, at=9.0, message="Frame 1512"),
        error("no space left on device", at=9.0, duration=12.3)],
    "cancelled": [started("video.convert"), progress(0.2, at=9.0, message="Frame 100"),
        error("revoked", at=9.0, status="cancelled", duration=4.0)],
    "mail": [queued(at=1.0, operation_type="mail.send")],
    "invoice": [scheduled(at=1.0, operation_type="invoice.send")],
    "sync": [started("api.sync"), progress(0.3, at=9.0, message="Page 3"),
        status("retrying", at=9.0, message="ConnectionError: timed out", attempt=1,
            retry_in=90.0, starts_at=1e6, max_attempts=4)],
    "again": [started("api.sync"), status("retrying", at=2.0, attempt=1, max_attempts=4),
        status("started", run="r2", at=8.0, operation_type="api.sync", metadata={}, attempt=2),
        progress(0.1, run="r2", at=9.0, message="Page 1")],
    "upload": [started("upload.nightly"), progress(0.785, at=9.0, message="Part 11", eta=7400.0),
        status("uploading", at=9.0, message="to the mirror")],
}  # fmt: skip


def in_future(event):
    """The event, of a task that waits some minutes from now."""
    if not isinstance(event, Status) or event.data.starts_at is UNSET:
        return event
    now, waits = time.time(), event.data.status == "scheduled"
    expires = {"expires_at": now + 3_599.0} if waits else {}
    data = structs.replace(event.data, starts_at=now + (239.0 if waits else 5_399.0), **expires)
    return structs.replace(event, data=data)


DARK = "<style>:root { color-scheme: dark; background: #0f141b }</style>"


@pytest.mark.parametrize(
    ("look", "how"),
    [
        ("light", {}),
        ("dark", {"head": DARK}),
        ("rtl", {"html": 'lang="ar" dir="rtl"'}),
    ],
)
def test_its_looks_are_accessible(write, page_of, look, how):
    require_packages()
    for name, events in BARS.items():
        write(*life_of(name, *map(in_future, events)))
    style = "<style>h1, celery-progress { margin: 1.5rem }</style><main><h1>Tasks</h1>"
    page = page_of(
        style + "".join(f"<celery-progress task-id={one}></celery-progress>" for one in BARS), **how
    )
    expect(page.locator("celery-progress[state]")).to_have_count(len(BARS))
    # Said aloud, and painted to the end.
    expect(page.locator("[part=live]").first).to_contain_text("orders.import_rows: running")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"element-{look}.png", animations="disabled", full_page=True)
    page.add_script_tag(path=NODE_MODULES / "axe-core" / "axe.min.js")
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    fill = page.locator("[part=fill]").first.bounding_box()
    bar = page.locator("[part=bar]").first.bounding_box()
    at_start = fill["x"] == bar["x"]
    assert at_start == (look != "rtl")
    if look != "rtl":
        invoice, retry, again = (
            page.locator(f"[task-id={one}]") for one in ("invoice", "sync", "again")
        )
        expect(invoice.locator("[part=status]")).to_have_text(re.compile(r"^starts in \d min$"))
        expiry = re.compile(r"^expires in \d\d min$")
        expect(invoice.locator("[part=figures]")).to_have_text(expiry)
        retrying = re.compile(r"^retrying in \d\d min$")
        expect(retry.locator("[part=status]")).to_have_text(retrying)
        expect(retry.locator("[part=figures]")).to_have_text("30% · attempt 2 of 4")
        expect(again.locator("[part=figures]")).to_have_text("10% · attempt 2 of 4")
    assert fill["width"] == pytest.approx(bar["width"] * 0.42, abs=1)


def phase(name, weight, state, fraction):
    return {"name": name, "weight": weight, "state": state, "fraction": fraction}


def test_phases_are_segments_of_the_bar(write, page_of):
    two = [phase("Download", 0.25, "completed", 1.0), phase("Convert", 0.5, "running", 0.5)]
    failed = [two[0], phase("Convert", 0.75, "error", 0.5)]
    of = {
        "runs": [progress(0.5, at=2.0, message="Convert", details={"phases": two})],
        "done": [
            progress(0.5, at=2.0, details={"phases": two}),
            completed(at=3.0, duration=1.0),
        ],
        "failed": [progress(0.625, at=2.0, details={"phases": failed})],
        "declared": [
            progress(0.0, at=2.0, details={"phases": [phase("Later", 1.0, "waiting", 0.0)]})
        ],
        "plain": [progress(0.5, at=2.0, details={"phases": "none"})],
    }
    for name, events in of.items():
        write(*life_of(f"in-phases-{name}", started("t"), *events))
    page = page_of(
        "".join(f"<celery-progress task-id=in-phases-{one}></celery-progress>" for one in of)
    )
    bars = {name: page.locator(f"celery-progress[task-id=in-phases-{name}]") for name in of}
    # The third one is what no phase has.
    expect(bars["runs"].locator("[part=phase]")).to_have_count(3, timeout=LONG)
    expect(bars["runs"].locator("[part=phase][title=Convert]")).to_have_attribute(
        "data-state", "running"
    )
    expect(bars["runs"].get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    expect(bars["declared"]).not_to_have_attribute("indeterminate", "")
    expect(bars["plain"].locator("[part=phase]")).to_have_count(0)
    expect(bars["done"]).to_have_attribute("state", "completed")
    page.emulate_media(reduced_motion="reduce")

    def has_width(name, part, share):
        found = bars[name].locator("[part=phase]").nth(1)
        found = found.locator("[part=phase-fill]") if part == "fill" else found
        wide = [one.evaluate("(part) => part.clientWidth") for one in (found, bars[name])]
        return wide[0] == pytest.approx(share * wide[1], abs=4)

    # What is drawn may still be in motion.
    eventually(lambda: has_width("runs", "phase", 0.5))
    eventually(lambda: has_width("runs", "fill", 0.25))
    eventually(lambda: has_width("done", "fill", 0.5))
    colour = "(part) => getComputedStyle(part).background"
    first, second = (
        bars["failed"].locator("[part=phase-fill]").nth(index).evaluate(colour) for index in (0, 1)
    )
    assert first != second


def test_an_unknown_total_has_no_value_and_rests_for_those_who_want_it(write, page_of):
    write(*life_of("fetch", *BARS["fetch"]))
    page = page_of("<celery-progress task-id=fetch></celery-progress>")
    bar = page.get_by_role("progressbar")
    expect(page.locator("celery-progress")).to_have_attribute("indeterminate", "")
    assert bar.get_attribute("aria-valuenow") is None
    assert looks(page, "fill", "animationName") == "slide"
    page.emulate_media(reduced_motion="reduce")
    assert looks(page, "fill", "animationName") == "none"


def test_the_live_region_says_where_it_is_and_does_not_chatter(write, page_of):
    one = str(uuid.uuid4())
    write(*life_of(one, started("t"), progress(0.01, at=2.0)))
    page = page_of(
        f"<celery-progress task-id={one}></celery-progress>"
        "<script>addEventListener('load', () => { window.said = [];"
        "const live = document.querySelector('celery-progress').shadowRoot"
        ".querySelector('[part=live]'); new MutationObserver(() => said.push(live.textContent))"
        ".observe(live, { childList: true }) })</script>"
    )
    eventually(lambda: page.evaluate("window.said?.length"))
    for percent in range(2, 100):
        write(*life_of(one, progress(percent / 100, at=3.0)))
    write(*life_of(one, completed(at=9.0, duration=8.0)))
    eventually(lambda: "t: done, 100%" in page.evaluate("said"))
    assert len(page.evaluate("said")) <= 4


def test_the_time_until_a_task_starts_counts_down(write, page_of):
    one = str(uuid.uuid4())
    page = page_of(
        f"<celery-progress task-id={one}></celery-progress>"
        "<script>addEventListener('load', () => { window.seen = []; window.said = [];"
        "const part = (name) => document.querySelector('celery-progress').shadowRoot"
        ".querySelector(`[part=${name}]`);"
        "for (const [name, texts] of [['status', seen], ['live', said]])"
        "new MutationObserver(() => texts.push(part(name).textContent))"
        ".observe(part(name), { childList: true }) })</script>"
    )
    expect(page.locator("[part=status]")).to_have_text("waiting for updates")
    now = time.time()
    write(*life_of(one, scheduled(at=now, operation_type="t", starts_at=now + 4.0)))
    expect(page.locator("celery-progress")).to_have_attribute("state", "scheduled")
    # No worker is free.
    expect(page.locator("[part=status]")).to_have_text("queued")
    seen, said = page.evaluate("[seen, said]")
    shown = [text for text in seen if text.startswith("starts")]
    left = [int(text.removeprefix("starts in ").removesuffix(" sec")) for text in shown]
    assert len(left) > 1
    assert left == sorted(set(left), reverse=True)
    assert said == [f"t: {shown[0]}, 0%"], "it is not said each second"
    write(*life_of(one, status("started", at=now + 4, operation_type="t", metadata={})))
    expect(page.locator("[part=status]")).to_have_text("running")


@pytest.mark.parametrize("off", [-7_200, 7_200])
def test_a_browser_whose_clock_is_wrong_counts_by_the_sidecars(write, page_of, off):
    one, now = str(uuid.uuid4()), time.time()
    write(*life_of(one, scheduled(at=now, operation_type="t", starts_at=now + 1_199.0)))
    clock = f"const now = Date.now; Date.now = () => now() + {off * 1000};"
    origin = f"performance.timeOrigin + {off * 1000}"
    page = page_of(
        f"<celery-progress task-id={one}></celery-progress>",
        head=f"<script>{clock}"
        f"Object.defineProperty(performance, 'timeOrigin', {{ value: {origin} }});</script>",
    )
    expect(page.locator("[part=status]")).to_have_text(re.compile(r"^starts in \d\d min$"))


def test_it_follows_its_attributes_and_a_group(write, page_of):
    group = str(uuid.uuid4())
    members = [str(uuid.uuid4()) for _ in range(4)]
    for member in members:
        write(
            *life_of(
                member,
                structs.replace(
                    started("t"), data=structs.replace(started("t").data, group_id=group)
                ),
            )
        )
    write(*life_of(members[0], completed(at=2.0, duration=1.0)))
    write(*life_of(members[1], progress(0.5, at=2.0)))
    page = page_of(f'<celery-progress group-id="{group}" label="All of it"></celery-progress>')
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "37")
    expect(bar).to_have_accessible_name("All of it")
    expect(page.locator("[part=figures]")).to_contain_text("1 of 4")
    page.evaluate(
        f"document.querySelector('celery-progress').setAttribute('task-id', '{members[1]}')"
    )
    expect(bar).to_have_attribute("aria-valuenow", "50")
    for member in members[1:]:
        write(*life_of(member, completed(at=3.0, duration=1.0)))
    expect(page.locator("celery-progress")).to_have_attribute("state", "completed")


def test_slots_parts_properties_and_events_are_for_the_page(write, page_of):
    write(*life_of("report", *BARS["report"]))
    page = page_of(
        "<style>:root { --success: rgb(1, 2, 3) }"
        "celery-progress { --celery-success: var(--success) }"
        "celery-progress::part(label) { color: rgb(4, 5, 6) }</style><script>window.seen = [];"
        "for (const name of ['status', 'progress', 'result', 'completed'])"
        " addEventListener(`celery-${name}`, ({ detail }) => seen.push(detail.event.event_type));"
        "</script><celery-progress task-id=report><b slot=label>The report</b>"
        "<a slot=result href='report.pdf'>Read it</a></celery-progress>"
    )
    expect(page.get_by_text("Read it")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_accessible_name("The report")
    assert page.evaluate("seen") == ["status", "progress", "result", "completed"]
    assert looks(page, "status", "color") == "rgb(1, 2, 3)"
    assert looks(page, "label", "color") == "rgb(4, 5, 6)"


@pytest.fixture(scope="module")
def closed_sidecar(redis_server):
    """One with a key, of the same log."""
    with SidecarThread(BrokerAddress(redis_server.url), key=KEY) as closed:
        yield closed


def test_it_shows_its_token_and_says_where_it_is_refused(closed_sidecar, write, page_of):
    write(*life_of("report", *BARS["report"]))
    token = create_token("report", key=KEY)
    bars = {"attribute": ("report", f'token="{token}"'), "property": ("report", "")}
    bars["other"] = ("import", "")
    page = page_of(
        "".join(
            f'<celery-progress id={name} task-id={task} url="{closed_sidecar.url}" {more}>'
            "</celery-progress>"
            for name, (task, more) in bars.items()
        )
        + "<script>window.refused = []; addEventListener('celery-refused', ({ target, detail }) =>"
        " refused.push([target.id, detail.error.code]));"
        f"document.querySelector('#property').getToken = async () => '{token}'</script>"
    )
    for name in ("attribute", "property"):
        expect(page.locator(f"#{name}")).to_have_attribute("state", "completed")
    expect(page.locator("#other [part=error]")).not_to_be_empty()
    assert page.evaluate("refused") == [["other", "forbidden"]]
    assert page.locator("#other").get_attribute("state") is None


def test_it_goes_on_where_it_is_moved_to_and_ends_where_it_is_removed(sidecar, write, page_of):
    one = str(uuid.uuid4())
    write(*life_of(one, started("t"), progress(0.5, at=2.0)))
    page = page_of(f"<celery-progress task-id={one}></celery-progress><main></main>")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "50")
    page.evaluate("document.querySelector('main').append(document.querySelector('[task-id]'))")
    write(*life_of(one, progress(0.75, at=3.0)))
    expect(page.locator("main").get_by_role("progressbar")).to_have_attribute("aria-valuenow", "75")
    page.evaluate("document.querySelector('[task-id]').remove()")
    eventually(lambda: stats(sidecar) == [b"0"])


def test_it_works_under_a_strict_content_security_policy(sidecar, write, page_of):
    write(*life_of("report", *BARS["report"]))
    policy = (
        f"default-src 'none'; script-src {sidecar.http}; require-trusted-types-for 'script'; "
        f"connect-src {sidecar.http} {sidecar.url}"
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page = page_of("<celery-progress task-id=report></celery-progress>", head=meta)
    expect(page.locator("celery-progress")).to_have_attribute("state", "completed")


def test_a_canvas_is_one_bar_to_its_end(stack, page_of, tmp_path):
    app, gates = stack[0], [tmp_path / name for name in "ab"]
    steps = app.tasks["scenario.steps"]
    canvas = group(steps.si(str(gates[0])), steps.si(str(gates[0]))) | steps.si(str(gates[1]))
    held = canvas.apply_async()
    page = page_of(f'<celery-progress workflow-id="{held.id}" expanded></celery-progress>')
    element = page.locator("celery-progress")
    rows = page.get_by_role("treeitem")
    expect(rows).to_have_count(4, timeout=LONG)
    expect(page.locator('[role=treeitem][data-state="running"]')).to_have_count(3, timeout=LONG)
    expect(rows.last).to_have_attribute("data-state", "waiting")
    gates[0].touch()
    expect(rows.last).to_have_attribute("data-state", "running", timeout=LONG)
    expect(rows.first).to_have_attribute("data-state", "completed")
    gates[1].touch()
    expect(element).to_have_attribute("state", "completed", timeout=LONG)
    expect(element.locator("[part=result]")).to_have_text('{"parts":4}')
    expect(element.locator("[part=figures]")).to_contain_text("3 of 3")
    expect(page.locator('[role=treeitem][data-state="completed"]')).to_have_count(4)


def test_a_stream_is_shown_as_text_while_it_is_written(write, page_of):
    one = str(uuid.uuid4())
    page = page_of(f'<celery-progress task-id="{one}" stream="answer"></celery-progress>')
    element, shown = page.locator("celery-progress"), page.locator("[part=stream]")
    write(*life_of(one, started("t"), progress(0.5, at=2.0)))
    expect(element).to_have_attribute("state", "running")
    expect(shown).to_be_hidden()
    pieces = ["<b>To</b> be, ", "or not\n", "to be"]
    chunks = [chunk(piece, number, at=2.0) for number, piece in enumerate(pieces)]
    write(*life_of(one, chunk("no", stream="notes", at=2.0), chunks[0]))
    expect(shown).to_have_text(pieces[0])
    expect(shown).to_have_attribute("aria-live", "polite")
    # What is read, or selected, is not made anew.
    kept = shown.locator("slot").evaluate_handle("(slot) => slot.firstChild")
    write(*life_of(one, *chunks[1:]))
    eventually(lambda: kept.evaluate("(text) => text.data") == "".join(pieces))
    # All of it comes again, and is shown once.
    element.evaluate("(element) => { element.getToken = () => undefined }")
    write(*life_of(one, chunk(None, 3, at=3.0, closed=True), completed(at=3.0, duration=2.0)))
    expect(element).to_have_attribute("state", "completed")
    assert kept.evaluate("(text) => text.data") == "".join(pieces)
    # Another attempt begins anew; of one that is long, a mark stands for the beginning.
    again = {"run": "r2", "at": 4.0}
    write(*life_of(one, status("started", operation_type="t", metadata={}, attempt=2, **again)))
    write(*life_of(one, chunk("late", 4, **again), chunk("also", stream="notes", **again)))
    expect(shown).to_have_text("…late")
    element.evaluate("(element) => element.setAttribute('stream', 'notes')")
    expect(shown).to_have_text("also")
    element.evaluate("(element) => element.removeAttribute('stream')")
    expect(shown).to_be_hidden()
