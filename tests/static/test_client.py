"""``client.js`` before real sidecars, over networks that break, in pages, workers and Node."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from msgspec import structs
from support.clocks import Clock
from support.conditions import eventually
from support.node import MODULES, require_packages, run_node
from support.ports import free_port
from support.proxies import Proxy
from support.sample_events import chunk, completed, error, log, progress, result, status
from support.sidecars import PATIENT, SidecarThread
from websockets.sync.server import serve

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.sidecar import connections, server, socket_writer, token_expiry
from celery_wsprogress.sidecar.access import authorizer
from celery_wsprogress.sidecar.http import request_handler

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.browser, pytest.mark.redis]

KEY = "a key that is long enough for HS256"


@pytest.fixture
def clock(monkeypatch):
    """That by which tokens expire."""
    clock = Clock()
    for module in (server, connections, request_handler, token_expiry, authorizer):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def closed_sidecar(write, redis_server, clock):
    """One with a key, that looks often for tokens that expired."""
    address = BrokerAddress(redis_server.url)
    with SidecarThread(address, sweep_interval=0.1, key=KEY, **PATIENT) as sidecar:
        yield sidecar


@pytest.fixture
def network(sidecar):
    with Proxy(sidecar.port) as network:
        yield network


@pytest.fixture
def life():
    """Events as of an operation of its own."""
    one = str(uuid.uuid4())

    class Life:
        id = one

        def __call__(self, *events):
            return [structs.replace(event, operation_id=one) for event in events]

    return Life()


def started(**more):
    return status("started", at=1.0, metadata={}, operation_type=more.pop("kind", "t"), **more)


def test_a_watch_gives_events_in_order_a_snapshot_and_the_result(client_page, write, life):
    page = client_page()
    page.run(
        """window.watch = connect(url).watch(id, {
            onLog: ({ data }, operation) => said.push([data.message, operation.progress]),
            onChange: (operation, event) => said.push(event?.event_type ?? "snapshot"),
        }); await watch.ready""",
        id=life.id,
    )
    assert page.run("return watch.operation") is None
    write(*life(started(), progress(0.5, at=2.0), log("half", at=2.5)))
    write(*life(result({"n": 7}, at=3.0), completed(at=3.0, duration=2.0)))
    assert page.run("return watch.done") == {"n": 7}
    kinds = ["status", "progress", ["half", 0.5], "log", "result", "completed"]
    assert page.run("return said") == kinds
    assert page.run("return watch.operation.state") == "completed"
    assert page.run("return connect(url).watch(id).done", id=life.id) == {"n": 7}


def test_a_failed_operation_rejects_with_what_it_said(client_page, write, life):
    write(*life(started(), error("broke", at=2.0, duration=1.0)))
    found = client_page().run(
        """try { await connect(url).watch(id).done } catch (error) {
            const { errorType, message, cancelled } = error;
            return [error instanceof OperationError, errorType, message, cancelled];
        }""",
        id=life.id,
    )
    assert found == [True, "ValueError", "broke", False]


def test_events_can_be_iterated_and_abandoned(client_page, write, life):
    write(*life(started(), log("a", at=2.0)))
    page = client_page()
    page.run(
        """window.stop = new AbortController();
        window.watch = connect(url).watch(id, { signal: stop.signal });
        window.iterating = (async () => {
            for await (const event of watch) said.push(event.data.message ?? event.event_type);
            return "over";
        })();""",
        id=life.id,
    )
    eventually(lambda: page.run("return said") == ["", "a"])
    found = page.run(
        "stop.abort(); return [await iterating, await watch.done.catch((error) => error.name)]"
    )
    assert found == ["over", "AbortError"]
    write(*life(log("b", at=3.0), completed(at=4.0, duration=3.0)))
    ended = page.run(
        """const found = [];
        for await (const { event_type } of connect(url).watch(id)) found.push(event_type);
        return found;""",
        id=life.id,
    )
    assert ended == ["status", "log", "log", "completed"]


def test_who_watches_later_gets_it_all_and_the_others_nothing_twice(client_page, write, life):
    write(*life(started(), log("a", at=2.0)))
    page = client_page()
    page.run(
        """window.lines = [[], [], []];
        window.look = (number) => connect(url).watch(id, {
            onLog: ({ data }) => lines[number].push(data.message) });
        look(0);""",
        id=life.id,
    )
    page.page.evaluate(f"window.id = {life.id!r}; window.url = {page.url!r}")
    eventually(lambda: page.run("return lines[0]") == ["a"])
    page.run("await look(1).ready; await look(2).ready")
    write(*life(log("b", at=3.0)))
    eventually(lambda: page.run("return lines") == [["a", "b"]] * 3)


def test_several_are_watched_at_once(client_page, write):
    ids = [str(uuid.uuid4()) for _ in range(3)]

    def of(one, *events):
        return [structs.replace(event, operation_id=one) for event in events]

    write(*of(ids[0], started(), result(1, at=2.0), completed(at=2.0, duration=1.0)))
    write(*of(ids[1], started(), error("broke", at=2.0, duration=1.0)))
    page = client_page()
    page.run("window.many = connect(url).watchMany(ids); await many.ready", ids=ids)
    eventually(lambda: page.run("return many.operations.size") == 2)
    write(*of(ids[2], started(), result(3, at=2.0), completed(at=2.0, duration=1.0)))
    found = page.run(
        "return [...await many.done].map(([, { value, reason }]) => value ?? reason.message)"
    )
    assert sorted(found, key=str) == [1, 3, "broke"]


def test_a_monitor_shows_what_there_is_and_what_comes(client_page, write, life):
    tag = str(uuid.uuid4())
    other = str(uuid.uuid4())
    write(*life(started(tags=[tag]), progress(0.5, at=2.0)))
    write(structs.replace(started(tags=["another"]), operation_id=other))
    page = client_page()
    page.run(
        """window.monitor = connect(url).monitor({ tag }, {
            onChange: (operation, event) => said.push(event?.event_type ?? "snapshot") });
        window.all = connect(url).monitor({});
        await Promise.all([monitor.ready, all.ready])""",
        tag=tag,
    )
    shown = "return [...monitor.operations.values()].map((one) => [one.operation_id, one.progress])"
    assert page.run(shown) == [[life.id, 0.5]]
    assert page.run("return all.operations.has(other)", other=other)
    new = str(uuid.uuid4())
    write(*life(completed(at=3.0, duration=2.0)))
    write(structs.replace(started(tags=[tag]), operation_id=new))
    eventually(lambda: page.run(shown) == [[life.id, 1], [new, 0]])
    assert page.run("return monitor.operations.get(id).state", id=life.id) == "completed"
    # Who comes second has what is known at once, and no event again.
    page.run("await connect(url).monitor({ tag }).ready", tag=tag)
    assert page.run("return said.filter((one) => one !== 'snapshot')") == ["completed", "status"]


def test_lists_histories_and_figures_are_asked_for(client_page, write, life):
    tag = str(uuid.uuid4())
    write(*life(started(tags=[tag]), log("a", at=2.0), completed(at=3.0, duration=2.0)))
    page = client_page()
    listed = page.run("return connect(url).list({ tag, state: 'completed', limit: 5 })", tag=tag)
    assert [one["operation_id"] for one in listed["operations"]] == [life.id]
    assert listed["next"] is None
    history = page.run("return connect(url).history(id)", id=life.id)
    assert [one["event_type"] for one in history["events"]] == ["status", "log", "completed"]
    assert history["complete"]
    newest = page.run("return connect(url).history(id, { limit: 1 })", id=life.id)
    assert [one["event_type"] for one in newest["events"]] == ["completed"]
    # Those of the pages before may take a moment to go.
    eventually(lambda: page.run("return connect(url).stats()")["connected_clients"] == 1)
    assert page.run("return (await connect(url).get(id)).state", id=life.id) == "completed"
    assert "resume" in page.run("return connect(url).features")
    refused = "return connect(url).list({ state: 'x' }).catch(({ code }) => code)"
    assert page.run(refused) == "invalid_command"


def test_what_a_network_breaks_goes_on_and_nothing_comes_twice(client_page, network, write, life):
    page = client_page(f"ws://127.0.0.1:{network.port}")
    page.run(
        """window.client = connect(url);
        window.states = [client.state];
        client.observe(() => states.at(-1) === client.state || states.push(client.state));
        client.watch(id, { onLog: ({ data }) => said.push(data.message) })""",
        id=life.id,
    )
    lines = [f"line {number}" for number in range(9)]
    write(*life(started(), *[log(line, at=2.0) for line in lines[:3]]))
    eventually(lambda: page.run("return said") == lines[:3])
    network.reset()
    write(*life(*[log(line, at=3.0) for line in lines[3:6]]))
    eventually(lambda: page.run("return said") == lines[:6])
    network.cut()
    write(*life(*[log(line, at=4.0) for line in lines[6:]]))
    eventually(lambda: page.run("return client.lost?.code") == 1006)
    network.mend()
    eventually(lambda: page.run("return said") == lines)
    expected = ["connecting", "open", "reconnecting", "open", "reconnecting", "open"]
    assert page.run("return states") == expected


def test_a_stream_goes_on_behind_a_loss_with_each_chunk_once(client_page, network, write, life):
    page = client_page(f"ws://127.0.0.1:{network.port}")
    page.run(
        """window.watch = connect(url).watch(id);
        window.reading = (async () => {
            for await (const piece of watch.stream("answer")) said.push(piece);
            return "closed";
        })();""",
        id=life.id,
    )
    pieces = [f"piece {number} " for number in range(9)]
    chunks = [chunk(piece, number, at=2.0) for number, piece in enumerate(pieces)]
    write(*life(started(), *chunks[:3], chunk("other", stream="notes", at=2.0)))
    eventually(lambda: page.run("return said") == pieces[:3])
    network.cut()
    write(*life(*chunks[3:6]))
    eventually(lambda: page.run("return watch.operation") and True)
    network.mend()
    eventually(lambda: page.run("return said") == pieces[:6])
    write(*life(*chunks[6:], chunk(None, 9, at=3.0, closed=True)))
    assert page.run("return reading") == "closed"
    assert page.run("return said") == pieces
    # Who comes later gets it from its beginning, also as a ReadableStream.
    found = page.run(
        """const text = [], stream = connect(url).watch(id).stream("answer");
        const reader = stream.readable.getReader();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return [text.join(""), stream.missing];
            text.push(value);
        }""",
        id=life.id,
    )
    assert found == ["".join(pieces), False]


def test_a_stream_ends_with_its_operation_and_tells_what_is_missing(client_page, write, life):
    write(*life(started(), chunk("late", 4, at=2.0), completed(at=3.0, duration=2.0)))
    found = client_page().run(
        """const pieces = [], stream = connect(url).watch(id).stream("answer");
        for await (const piece of stream) pieces.push(piece);
        return [pieces, stream.missing];""",
        id=life.id,
    )
    assert found == [["late"], True]


def test_a_monitor_goes_on_behind_a_loss_too(client_page, network, write, life):
    tag = str(uuid.uuid4())
    page = client_page(f"ws://127.0.0.1:{network.port}")
    write(*life(started(tags=[tag]), log("a", at=2.0)))
    page.run(
        """window.client = connect(url);
        window.monitor = client.monitor({ tag }, { onLog: ({ data }) => said.push(data.message) });
        await monitor.ready""",
        tag=tag,
    )
    write(*life(log("b", at=2.0)))
    eventually(lambda: page.run("return said") == ["b"])
    network.cut()
    eventually(lambda: page.run("return client.state") == "reconnecting")
    write(*life(log("c", at=2.0)))
    short = str(uuid.uuid4())
    write(*[structs.replace(one, operation_id=short) for one in (started(tags=[tag]), completed())])
    network.mend()
    eventually(lambda: page.run("return said") == ["b", "c"])
    # It began and ended while nobody could see it.
    state = "return monitor.operations.get(short)?.state"
    eventually(lambda: page.run(state, short=short) == "completed")


SLOW = 0.01  # what comes within 100 seconds of the last is not told by itself
PROGRESS = "onProgress: ({ data }) => said.push(data.progress), max_rate"


@pytest.fixture
def slow_time(monkeypatch):
    """To who is told seldom a hundred seconds are hours, however long this machine takes."""
    monkeypatch.setattr(socket_writer, "time", Clock(speed=0.01))


def be_heard(page, operation_id):
    """Wait until the sidecar has answered something that was asked after all before."""
    page.run("await client.get(id)", id=operation_id)


def close_and_be_heard(page, handle, operation_id):
    page.run(f"{handle}.close(); await new Promise((resolve) => setTimeout(resolve, 0))")
    be_heard(page, operation_id)


@pytest.mark.usefixtures("slow_time")
def test_who_draws_seldom_is_told_seldom(client_page, network, write, life):
    page = client_page(f"ws://127.0.0.1:{network.port}")
    # What the page says arrives later than what its task does.
    network.delay = 0.1

    def reach(fraction):
        write(*life(progress(fraction, at=2.0)))

    def told():
        return page.run("return said")

    write(*life(started()))
    page.run(
        f"""window.client = connect(url);
        window.watch = client.watch(id, {{ {PROGRESS},
            onLog: ({{ data }}) => said.push(data.message) }});
        await watch.ready""",
        id=life.id,
        max_rate=SLOW,
    )
    for fraction in (0.1, 0.2, 0.3):
        reach(fraction)
    be_heard(page, life.id)
    assert told() == [0.1]
    network.delay = 0
    write(*life(log("a", at=2.0)))
    eventually(lambda: told() == [0.1, 0.3, "a"], what="what rests goes before a line")

    # Whoever wants more often what is the same has it so for all.
    page.run("window.eager = client.watch(id); await eager.ready", id=life.id)
    be_heard(page, life.id)
    for fraction in (0.4, 0.5):
        reach(fraction)
        eventually(lambda fraction=fraction: told()[-1] == fraction)
    close_and_be_heard(page, "eager", life.id)
    reach(0.6)
    be_heard(page, life.id)
    assert told()[-1] == 0.5

    # A new line is told it, too; its first progress is told at once.
    network.reset()
    eventually(lambda: told()[-1] == 0.6)
    be_heard(page, life.id)
    reach(0.7)
    eventually(lambda: told()[-1] == 0.7)
    reach(0.8)
    be_heard(page, life.id)
    assert told()[-1] == 0.7


@pytest.mark.usefixtures("slow_time")
def test_all_monitors_have_the_pace_of_the_fastest(client_page, write, life):
    tag = str(uuid.uuid4())
    page = client_page()

    def reach(fraction):
        write(*life(progress(fraction, at=2.0)))

    write(*life(started(tags=[tag])))
    page.run(
        f"""window.client = connect(url);
        window.slow = client.monitor({{ tag }}, {{ {PROGRESS} }});
        window.fast = client.monitor({{ operation_type: "t" }});
        await Promise.all([slow.ready, fast.ready])""",
        tag=tag,
        max_rate=SLOW,
    )
    be_heard(page, life.id)
    for fraction in (0.1, 0.2, 0.3):
        reach(fraction)
        eventually(lambda fraction=fraction: page.run("return said.at(-1)") == fraction)
    close_and_be_heard(page, "fast", life.id)
    reach(0.4)
    reach(0.5)
    be_heard(page, life.id)
    assert page.run("return said") == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "'often'"])
def test_a_pace_that_is_none_is_refused(client_page, rate):
    tried = f"connect(url).watch('x', {{ max_rate: {rate} }})"
    found = client_page().run(f"try {{ {tried} }} catch ({{ name }}) {{ return name }}")
    assert found == "RangeError"


def test_online_brings_it_back_at_once(client_page, network):
    page = client_page(f"ws://127.0.0.1:{network.port}")
    # A clock that stands still: by itself it would never come back.
    page.page.clock.install()
    page.run("window.client = connect(url)")
    eventually(lambda: page.page.clock.run_for(10) or page.run("return client.state") == "open")
    page.page.context.set_offline(True)
    network.cut()
    eventually(lambda: page.run("return client.state") == "reconnecting")
    network.mend()
    page.page.context.set_offline(False)
    eventually(lambda: page.run("return client.state") == "open")


def test_a_page_that_was_put_away_lets_go_and_comes_back(client_page, sidecar, write, life):
    page = client_page()
    page.run(
        """window.client = connect(url);
        const lines = client.watch(id, { onLog: ({ data }) => said.push(data.message) });
        await lines.ready""",
        id=life.id,
    )
    write(*life(started(), log("a", at=2.0)))
    eventually(lambda: page.run("return said") == ["a"])
    page.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    eventually(lambda: sidecar.sidecar.stats()["connected_clients"] == 0)
    write(*life(log("b", at=3.0)))
    page.run("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    eventually(lambda: page.run("return said") == ["a", "b"])


def test_a_page_that_is_put_away_stays_away_until_it_is_shown(client_page):
    page = client_page()
    page.page.clock.install()
    page.run(
        """window.client = connect(url, { WebSocket: class extends WebSocket {
            constructor(address) { super(address); said.push("a socket"); } } })"""
    )
    eventually(lambda: page.page.clock.run_for(10) or page.run("return client.state") == "open")
    page.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    # Much longer than any wait between two attempts.
    page.page.clock.run_for(60_000)
    assert page.run("return [client.state, said.length]") == ["reconnecting", 1]
    page.run("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    eventually(lambda: page.run("return client.state") == "open")
    assert page.run("return said.length") == 2


def test_a_link_that_carries_nothing_is_found_and_given_up(client_page, network):
    page = client_page(f"ws://127.0.0.1:{network.port}")
    page.page.clock.install()
    page.run(
        """window.client = connect(url);
        client.observe(() => client.lost && said.push(client.lost.reason))"""
    )
    eventually(lambda: page.page.clock.run_for(100) or page.run("return client.state") == "open")
    network.freeze()
    # A heartbeat of silence, and what a ping is given to be answered.
    page.page.clock.run_for((PATIENT["heartbeat"] - 1) * 1_000)
    assert page.run("return client.state") == "open"
    page.page.clock.run_for(12_000)
    assert page.run("return said") == ["no answer to a ping"]
    eventually(lambda: page.page.clock.run_for(200) or page.run("return client.state") == "open")


def test_a_token_is_renewed_before_it_expires_on_the_same_socket(
    client_page, closed_sidecar, write, life, clock
):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    page.page.clock.install()
    given = []

    def get_token():
        given.append(300.0 if not given else 3_000.0)
        return create_token([life.id, f"token {len(given)}"], given[-1], key=KEY)

    page.page.expose_function("giveToken", get_token)
    page.run(
        """window.client = connect(url, { getToken: giveToken });
        window.watch = client.watch(id, { onLog: ({ data }) => said.push(data.message) });""",
        id=life.id,
    )
    eventually(lambda: page.page.clock.run_for(10) or page.run("return client.state") == "open")
    page.run("window.states = []; client.observe(() => states.push(client.state))")
    page.page.clock.run_for(230_000)
    assert len(given) == 1
    page.page.clock.run_for(11_000)
    granted = "return client.get('token 2').then(() => true, () => false)"
    eventually(lambda: page.run(granted))
    # The first token is over now, and the sidecar has looked for such.
    before, clock.ahead = clock.asked, 301.0
    eventually(lambda: clock.asked > before + 3)
    write(*life(started(), log("still here", at=2.0)))
    eventually(lambda: page.run("return said") == ["still here"])
    assert set(page.run("return states")) <= {"open"}
    assert len(given) == 2
    assert [urlsplit(one).query for one in page.run("return [client.url, url]")] == ["", ""]


def test_an_expired_token_is_renewed_after_it_closed_the_connection(
    client_page, closed_sidecar, write, life, clock
):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    given, closed = [], []

    def get_token():
        given.append(True)
        # The server of the site is away until the connection was closed.
        if given[1:] and not closed:
            raise RuntimeError("no tokens now")
        return create_token(life.id, 3_000.0 if closed else 300.0, key=KEY)

    page.page.expose_function("giveToken", get_token)
    page.run(
        """window.client = connect(url, { getToken: giveToken });
        window.codes = []; client.observe(() => codes.push(client.lost?.code));
        const lines = client.watch(id, { onLog: ({ data }) => said.push(data.message) });
        await lines.ready""",
        id=life.id,
    )
    write(*life(started(), log("a", at=2.0)))
    clock.ahead = 301.0
    eventually(lambda: 4001 in page.run("return codes"))
    closed.append(True)
    write(*life(log("b", at=3.0)))
    eventually(lambda: page.run("return said") == ["a", "b"])


@pytest.mark.parametrize("how", ["{}", "{ token: 'nonsense' }", "{ getToken: () => 'nonsense' }"])
def test_without_a_good_token_nothing_is_watched(client_page, closed_sidecar, how):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    found = page.run(
        f"""const client = connect(url, {how});
        const watch = client.watch("x", {{ onRefused: ({{ code }}) => said.push(code) }});
        const code = await watch.done.catch(({{ code }}) => code);
        return [code, client.state, await watch.ready.catch(({{ code }}) => code)];"""
    )
    assert found == ["unauthorized", "open" if how == "{}" else "closed", "unauthorized"]
    assert page.run("return said") == ["unauthorized"]


def test_of_several_the_one_that_is_not_granted_is_refused(
    client_page, closed_sidecar, write, life
):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    write(*life(started(), result(1, at=2.0), completed(at=2.0, duration=1.0)))
    found = page.run(
        """const many = connect(url, { token }).watchMany([id, "another"], {
            onRefused: ({ code }, one) => said.push([code, one]) });
        await many.ready;
        const results = await many.done;
        return [results.get(id).value, results.get("another").reason.code, many.error];""",
        id=life.id,
        token=create_token(life.id, key=KEY),
    )
    assert found == [1, "forbidden", None]
    assert page.run("return said") == [["forbidden", "another"]]


def test_who_closes_a_client_is_not_told_of_refusals(client_page):
    found = client_page().run(
        """const client = connect(url);
        const watch = client.watch("x", { onRefused: () => said.push("refused") });
        await watch.ready;
        client.close();
        const why = await watch.done.catch(({ name }) => name);
        return [why, watch.closed, client.state, said];"""
    )
    assert found == ["ConnectionClosed", True, "closed", []]


def test_what_is_no_sidecar_is_tried_again(client_page):
    with other_server() as url:
        page = client_page(url)
        page.run("window.client = connect(url)")
        lost = "return client.lost?.reason"
        eventually(lambda: page.run(lost) == "it is no sidecar")
        assert page.run("return client.state") == "connecting"


@contextmanager
def other_server():
    """A WebSocket server that says something else."""

    def say(websocket):
        websocket.send('{"event_type": "reply"}')
        websocket.recv()

    with serve(say, "127.0.0.1", 0) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{other.socket.getsockname()[1]}"
        other.shutdown()


@pytest.mark.parametrize(
    ("code", "reason", "state"),
    [
        (1008, "policy", "closed"),
        (4500, "never again", "closed"),
        (1012, '{"retry_ms": 30000}', "connecting"),
        (1013, "later", "connecting"),
    ],
)
def test_close_codes_are_obeyed(client_page, code, reason, state):
    def close(websocket):
        websocket.close(code, reason)

    with serve(close, "127.0.0.1", 0) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = client_page(f"ws://127.0.0.1:{other.socket.getsockname()[1]}")
        page.run(
            """window.client = connect(url); window.watch = client.watch('x');
            client.observe(() => client.lost && said.push(client.lost.retryAt - Date.now()))"""
        )
        eventually(lambda: page.run("return client.error || client.lost"))
        assert page.run("return client.state") == state
        if state == "closed":
            found = page.run("return watch.done.catch((error) => [error.name, error.code])")
            assert found == ["ConnectionClosed", code]
        if code == 1012:
            assert page.run("return said[0] > 20000")
        other.shutdown()


def test_one_clients_bad_token_is_not_anothers(client_page, closed_sidecar, write, life):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    write(*life(started(), log("a", at=2.0)))
    page.run(
        """connect(url, { token: "nonsense" });
        connect(url, { token }).watch(id, { onLog: ({ data }) => said.push(data.message) })""",
        id=life.id,
        token=create_token(life.id, key=KEY),
    )
    eventually(lambda: page.run("return said") == ["a"])
    assert closed_sidecar.sidecar.stats()["connected_clients"] == 1


def test_a_token_that_expires_ends_its_own_client_and_no_other(
    client_page, closed_sidecar, write, life, clock
):
    """Neither of them can be renewed, and the two share one connection."""
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    write(*life(started(), log("a", at=2.0)))
    page.run(
        """window.short = connect(url, { token: one });
        window.long = connect(url, { token: other });
        long.watch(id, { onLog: ({ data }) => said.push(data.message) });
        window.watch = short.watch("x");
        await watch.ready;""",
        id=life.id,
        one=create_token("x", 300.0, key=KEY),
        other=create_token(life.id, 3_000.0, key=KEY),
    )
    clock.ahead = 301.0
    found = page.run("return watch.done.catch(({ code, message }) => [code, message])")
    assert found == ["unauthorized", "The token has expired"]
    assert page.run("return short.state") == "closed"
    write(*life(log("b", at=3.0)))
    eventually(lambda: page.run("return said") == ["a", "b"])
    assert page.run("return long.state") == "open"


@pytest.mark.parametrize("ids", [1_300, 6_000])
def test_a_token_for_very_many_ids_stops_no_other_client(
    client_page, closed_sidecar, write, life, ids
):
    page = client_page(closed_sidecar.url, closed_sidecar.http)
    write(*life(started(), log("a", at=2.0)))
    found = page.run(
        """connect(url, { token: small }).watch(id, {
            onLog: ({ data }) => said.push(data.message) });
        const client = connect(url, { token: large });
        const watch = client.watch(id);
        return watch.ready.then(() => "taken", ({ code }) => code);""",
        id=life.id,
        small=create_token(life.id, key=KEY),
        large=create_token([life.id, *(str(uuid.uuid4()) for _ in range(ids))], key=KEY),
    )
    assert found == ("taken" if ids == 1_300 else "too_large")
    write(*life(log("b", at=3.0)))
    eventually(lambda: page.run("return said") == ["a", "b"])
    assert closed_sidecar.sidecar.stats()["connected_clients"] == 1


def test_an_address_with_a_secret_is_refused(client_page):
    page = client_page()
    assert page.run("try { connect('ws://a:b@localhost') } catch ({ name }) { return name }") == (
        "TypeError"
    )


@pytest.mark.parametrize("listed", [True, False])
def test_pages_of_listed_origins_may_use_it_and_no_others(
    browser, write, redis_server, life, listed
):
    site = "https://app.example"
    write(*life(started(), result("hers", at=2.0), completed(at=3.0, duration=2.0)))
    origins = (site,) if listed else ()
    with SidecarThread(BrokerAddress(redis_server.url), origins=origins) as sidecar:
        context = browser.new_context()
        # Whoever looks at the site has allowed it to reach this machine.
        context.grant_permissions(["local-network-access"], origin=site)
        page = context.new_page()
        page.route(
            f"{site}/**",
            lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"),
        )
        page.goto(site)
        imported = f"import('{sidecar.http}/client.js')"
        watched = f"(({{ connect }}) => connect('{sidecar.url}').watch('{life.id}').done)"
        found = page.evaluate(f"{imported}.then({watched}).catch(({{ name }}) => name)")
        assert found == ("hers" if listed else "TypeError")
        context.close()


def test_it_works_in_a_web_worker(client_page, sidecar, write, life):
    write(*life(started(), result("from afar", at=2.0), completed(at=3.0, duration=2.0)))
    page = client_page()
    found = page.run(
        """const script = `import { connect } from "${http}/client.js";
        const client = connect("${url}");
        client.watch("${id}").done.then((result) => { postMessage(result); client.close(); })`;
        const blob = new Blob([script], { type: "text/javascript" });
        const worker = new Worker(URL.createObjectURL(blob), { type: "module" });
        return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));""",
        id=life.id,
        http=sidecar.http,
    )
    assert found == "from afar"


@pytest.mark.parametrize("how", ["its own", "one passed in"])
def test_it_works_in_node_and_ends_when_closed(sidecar, write, life, how):
    require_packages()
    write(*life(started(), log("a", at=2.0), result([1, 2], at=3.0)))
    write(*life(completed(at=4.0, duration=3.0)))
    # Node 22 has it by itself; the very same is in Node 20, where it has to be asked for.
    flags = ["--experimental-websocket"] if how == "its own" else []
    package = ["ws"] if how == "one passed in" else []
    said = json.loads(run_node(*flags, "watch.mjs", sidecar.url, life.id, *package))
    assert said == {"result": [1, 2], "events": ["status", "log", "result", "completed"]}


@pytest.mark.parametrize("how", ["its own", "one passed in"])
def test_in_node_too_it_comes_back_soon_where_nobody_answered(how):
    require_packages()
    script = """
        const [module, url, name] = process.argv.slice(1);
        const { connect } = await import(module);
        const options = name ? { WebSocket: (await import(name)).default } : {};
        const client = connect(url, options);
        client.observe(() => {
            console.log(client.lost.code, client.lost.reason !== "no answer");
            client.close();
        });
    """
    flags = ["--experimental-websocket"] if how == "its own" else []
    package = ["ws"] if how == "one passed in" else []
    address = f"ws://127.0.0.1:{free_port()}"
    module = str(MODULES / "client.js")
    said = run_node(*flags, "--input-type=module", "-e", script, module, address, *package)
    assert said.split("\n")[0] == "1006 true"


def test_where_there_is_no_websocket_it_says_what_to_do(sidecar):
    require_packages()
    script = """
        delete globalThis.WebSocket;
        const { connect } = await import(process.argv[1]);
        try { connect("ws://localhost") } catch ({ message }) { console.log(message) }
    """
    said = run_node("--input-type=module", "-e", script, str(MODULES / "client.js"))
    assert said.strip() == "There is no WebSocket here: pass one as `WebSocket`"
