/** The pure modules of the dashboard. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { emptyOperation, reduce } from "../../celery_wsprogress/static/celery_wsprogress/client/reducer.js";
import { CommandError, ConnectionClosed } from "../../celery_wsprogress/static/celery_wsprogress/client/protocol.js";

const dashboard = (name) =>
  import(`../../celery_wsprogress/static/celery_wsprogress/dashboard/model/${name}.js`);
const { accessError } = await dashboard("access_errors");
const { COLUMNS, nextSorting, sortBy } = await dashboard("columns");
const { toCsv, toJson } = await dashboard("export");
const { delayQuantile, parseMetrics, counterRate } = await dashboard("prometheus_parser");
const { EVERYTHING, isEmptyFilter, groupOf, makePredicate } = await dashboard("filter");
const { compare, indexOf, sortKeyOf } = await dashboard("order");
const { MAX_EVENTS, RecentEvents } = await dashboard("recent_events");
const { OperationList, totalCount } = await dashboard("operation_list");
const { queryOf, readQuery } = await dashboard("query");
const { addressOf, flowerTaskUrl, operationInHash, queryInHash } = await dashboard("routing");
const { areaPath, roundUp, linePath, Series } = await dashboard("series");
const { EventLog, MAX_EVENTS: HELD } = await dashboard("event_log");
const format = await dashboard("format");
const { eventStep, mergeSteps } = await dashboard("timeline");
const { keepAnchor, indexForKey, scrollToReveal, visibleRange } = await import(
  "../../celery_wsprogress/static/celery_wsprogress/element/virtual_list.js"
);

const operation = (id, more = {}) => ({ ...emptyOperation(id, 100), ...more });
const event = (type, data, more = {}) =>
  ({ event_type: type, operation_id: "op", timestamp: 0, data, event_id: `e.${(number += 1)}`, ...more });
let number = 0;

// Which are shown, and in which order.

const FILTERED = operation("4f1c-9", {
  operation_type: "shop.Import", tags: ["Nightly", "eu"], message: "Reading rows", worker: "celery@a",
  state: "running", error: null, group_id: "g-1", root_id: "r-1", workflow_ids: ["w-1"],
});

for (const [filter, shown] of [
  [{}, true],
  [{ group: "running" }, true],
  [{ group: "waiting" }, false],
  [{ type: "import" }, true],
  [{ type: " SHOP. " }, true],
  [{ type: "shop.*" }, true],
  [{ type: "*.import" }, false],
  [{ type: "shop.[" }, false],
  [{ tag: "night" }, true],
  [{ tag: "us" }, false],
  [{ text: "rows reading" }, true],
  [{ text: "CELERY@A 4f1c" }, true],
  [{ text: "rows missing" }, false],
  [{ text: "  " }, true],
  [{ text: ".*" }, false],
  [{ within: " g-1 " }, true],
  [{ within: "r-1" }, true],
  [{ within: "w-1" }, true],
  [{ within: "workflow:w-1" }, true],
  [{ within: "4f1c-9" }, true],
  [{ within: "g" }, false],
  [{ group: "running", type: "shop", tag: "eu", text: "rows" }, true],
  [{ group: "running", type: "shop", tag: "us", text: "rows" }, false],
]) {
  test(`a filter ${JSON.stringify(filter)} shows it: ${shown}`, () => {
    assert.equal(makePredicate({ ...EVERYTHING, ...filter })(FILTERED), shown);
  });
}

test("a filter of blanks is none", () => {
  assert.ok(isEmptyFilter({ group: "", type: " ", tag: "", within: " ", text: " " }));
  assert.ok(!isEmptyFilter({ ...EVERYTHING, group: "error" }));
  assert.ok(!isEmptyFilter({ ...EVERYTHING, within: "g" }));
});

test("a step of which only the tree says it is found within its workflow, and so is the workflow", () => {
  const isStepOf = ({ operation_id: id }, workflow) => id === "step" && workflow === "w";
  const within = makePredicate({ ...EVERYTHING, within: "w" }, isStepOf);
  assert.deepEqual(["step", "other", "workflow:w"].map((id) => within(operation(id))), [true, false, true]);
});

test("a choice is in the address, and comes back from it", () => {
  const filter = { group: "error", type: "shop.*", tag: "a b", within: "g&1", text: "x=y?#", workflows: true };
  for (const sorting of [null, { column: "time", descending: true }, { column: "task", descending: false }]) {
    assert.deepEqual(readQuery(queryOf(filter, sorting)), { filter, sorting });
    const address = addressOf("a?b", queryOf(filter, sorting));
    assert.equal(operationInHash(address), "a?b");
    assert.deepEqual(readQuery(queryInHash(address)), { filter, sorting });
  }
  assert.equal(queryOf({ ...EVERYTHING, text: " " }, null), "");
  assert.equal(queryInHash(addressOf("a")), null);
  assert.equal(queryInHash("#/?"), "");
});

test("an address that nobody can know chooses nothing", () => {
  for (const text of ["", "state=broken&sort=-secret", "sort=toString", "workflows=yes", "x=%"]) {
    assert.deepEqual(readQuery(text), { filter: EVERYTHING, sorting: null });
  }
});

test("a column sorts one way, then the other, then no more", () => {
  const presses = (column) => {
    const first = nextSorting(null, column);
    return [first, nextSorting(first, column), nextSorting(nextSorting(first, column), column)];
  };
  const [down, up] = [true, false].map((descending) => ({ column: "time", descending }));
  assert.deepEqual(presses("time"), [down, up, null]);
  assert.equal(presses("task")[0].descending, false);
  assert.deepEqual(nextSorting(down, "started"), { column: "started", descending: true });
});

test("operations are sorted by a column, and what has no value there comes last", () => {
  const all = [
    operation("waits", { state: "queued", queued_at: 5 }),
    operation("runs", { state: "running", started_at: 40, progress: 0.2, eta: 9, worker: "b", operation_type: "t.b" }),
    operation("long", { state: "completed", started_at: 10, duration: 70, progress: 1, operation_type: "t.a" }),
    operation("short", { state: "error", started_at: 20, duration: 7, progress: 0.2, worker: "a", operation_type: "t.c" }),
  ];
  const operations = new Map(all.map((one) => [one.operation_id, one]));
  const places = all.map(sortKeyOf);
  const order = (column, descending) => sortBy(places, operations, { column, descending }, 100).map(({ id }) => id);
  assert.deepEqual(order("time", true), ["long", "runs", "short", "waits"]);
  assert.deepEqual(order("time", false), ["short", "runs", "long", "waits"]);
  assert.deepEqual(order("started", true), ["runs", "short", "long", "waits"]);
  assert.deepEqual(order("task", false), ["long", "runs", "short", "waits"]);
  assert.deepEqual(order("worker", false), ["short", "runs", "waits", "long"]);
  assert.deepEqual(order("left", true)[0], "runs");
  // Those that are equal stay as the table has them by itself.
  assert.deepEqual(order("progress", false), ["waits", "runs", "short", "long"]);
  assert.equal(new Set(COLUMNS).size, 6);
});

test("the list keeps the order that was chosen while operations change", () => {
  const operations = new Map();
  const list = new OperationList(operations);
  const set = (id, progress) => {
    operations.set(id, operation(id, { state: "running", progress }));
    list.markDirty(id);
  };
  ["a", "b", "c"].forEach((id, index) => set(id, index / 10));
  list.sort({ column: "progress", descending: true });
  const ids = () => (list.update(200), list.order.map(({ id }) => id));
  assert.deepEqual(ids(), ["c", "b", "a"]);
  set("a", 0.9);
  assert.ok(list.needsUpdate);
  assert.deepEqual(ids(), ["a", "c", "b"]);
  list.sort(null);
  assert.deepEqual(ids(), ["a", "b", "c"]);
});

test("operations become a file that a spreadsheet reads and does not run", () => {
  const one = operation("id-1", {
    operation_type: "shop.a", state: "error", progress: 0.5, message: 'say "no",\nthen go', tags: ["a", "b"],
    started_at: 1_735_734_005.5, error: "=cmd()", current: -3,
  });
  const [names, line, end] = toCsv([one]).split("\r\n");
  assert.equal(end, "");
  assert.ok(names.startsWith("operation_id,operation_type,state"));
  assert.ok(line.startsWith("id-1,shop.a,error,"));
  assert.ok(line.includes('"say ""no"",\nthen go"'));
  assert.ok(line.includes(",2025-01-01T12:20:05.500Z,"));
  assert.ok(line.endsWith(",'=cmd()"));
  assert.ok(line.includes(",-3,") && line.includes(",a b,"));
  const hidden = toCsv([operation("x;=HYPERLINK(1)", { message: "y\n+cmd()", status: 'a "-1" b' })]);
  assert.ok(!/(^|[;\n"])[=+\-@]/m.test(hidden.split("\r\n")[1]), hidden);
  assert.deepEqual(JSON.parse(toJson([one])), [one]);
});

test("a time of day is that of today, or has its date", () => {
  const noon = new Date(2026, 2, 5, 12, 0, 9).getTime() / 1000;
  assert.equal(format.clockOf(noon, noon + 60), "12:00:09");
  assert.equal(format.clockOf(noon, noon + 86_400), "5 Mar 12:00");
  assert.equal(format.clockOf(null, noon), "–");
  assert.equal(format.startOf(operation("a", { state: "queued" })), null);
  assert.equal(format.startOf(operation("a", { state: "running" })), 100);
});

test("each state is of one group, also one that nobody knows yet", () => {
  const states = ["queued", "scheduled", "received", "running", "retrying", "completed", "error", "cancelled", "paused"];
  const groups = ["waiting", "waiting", "waiting", "running", "running", "completed", "error", "cancelled", "running"];
  assert.deepEqual(states.map((state) => groupOf({ state })), groups);
});

test("what runs comes first, then what waits, then what has ended, the newest first", () => {
  const all = [
    operation("done-early", { state: "completed", finished_at: 200 }),
    operation("old", { state: "running", started_at: 10 }),
    operation("done-late", { state: "error", finished_at: 300 }),
    operation("new", { state: "running", started_at: 20 }),
    operation("waits", { state: "queued", queued_at: 1000 }),
    operation("again", { state: "retrying", started_at: 15 }),
  ];
  const order = all.map(sortKeyOf).sort(compare).map(({ id }) => id);
  assert.deepEqual(order, ["new", "again", "old", "waits", "done-late", "done-early"]);
});

test("progress moves nobody", () => {
  const before = operation("a", { state: "running", progress: 0.1 });
  assert.equal(compare(sortKeyOf(before), sortKeyOf({ ...before, progress: 0.9, message: "x" })), 0);
});

test("a place is found where it is, and where it would be", () => {
  const order = [3, 2, 2, 1].map((at, index) => ({ id: `${index}`, rank: 0, at })).sort(compare);
  order.forEach((place, index) => assert.equal(indexOf(order, place), index));
  assert.equal(indexOf(order, { id: "x", rank: 0, at: 4 }), 0);
  assert.equal(indexOf(order, { id: "x", rank: 1, at: 4 }), 4);
});

/** A little chance that is the same in every run. */
function* chances(seed = 7) {
  for (;;) yield (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
}

test("the list is what sorting and filtering everything anew would give", () => {
  const chance = chances();
  const pick = (list) => list[Math.floor(chance.next().value * list.length)];
  const operations = new Map();
  const operationList = new OperationList(operations);
  const filters = [EVERYTHING, { ...EVERYTHING, group: "running" }, { ...EVERYTHING, text: "even" }];
  let filter = EVERYTHING;
  for (let round = 0; round < 400; round += 1) {
    const changes = pick([0, 1, 1, 3, 120]);
    for (let change = 0; change < changes; change += 1) {
      const id = `op-${Math.floor(chance.next().value * 300)}`;
      const state = pick(["queued", "running", "running", "completed", "error"]);
      const at = Math.floor(chance.next().value * 50);
      const message = pick(["even", "odd"]);
      operations.set(id, operation(id, { state, started_at: at, finished_at: at + 1, message }));
      operationList.markDirty(id);
    }
    if (round % 20 === 19) for (const id of [...operations.keys()].slice(0, pick([1, 90]))) operations.delete(id);
    if (round % 7 === 6) operationList.filter((filter = pick(filters)));
    const before = operationList.order.map(({ id }) => id);
    const changed = operationList.update();
    const shown = [...operations.values()].filter(makePredicate(filter));
    const expected = shown.map(sortKeyOf).sort(compare).map(({ id }) => id);
    const found = operationList.order.map(({ id }) => id);
    assert.deepEqual(found, expected);
    assert.ok(changed || assert.deepEqual(found, before) === undefined);
    assert.equal(operationList.size, operations.size);
    assert.equal(totalCount(operationList.counts), operations.size);
    const running = [...operations.values()].filter(({ state }) => state === "running").length;
    assert.equal(operationList.counts.running, running);
  }
});

test("a list looks only at what was marked", () => {
  const operations = new Map();
  for (let n = 0; n < 1_000; n += 1) operations.set(`${n}`, operation(`${n}`, { state: "running", started_at: n }));
  const operationList = new OperationList(operations);
  operationList.update();
  const { order } = operationList;
  const asked = [];
  const { get } = operations;
  operations.get = (id) => (asked.push(id), get.call(operations, id));
  operations.set("7", { ...get.call(operations, "7"), progress: 0.5 });
  assert.equal(operationList.needsUpdate, false);
  operationList.markDirty("7");
  assert.equal(operationList.needsUpdate, true);
  assert.equal(operationList.update(), false);
  assert.equal(operationList.needsUpdate, false);
  assert.deepEqual(asked, ["7"]);
  assert.equal(operationList.order, order);
});

test("types and tags are proposed, and no more than can be read", () => {
  const operations = new Map();
  for (let n = 0; n < 500; n += 1) operations.set(`${n}`, operation(`${n}`, { operation_type: `t${n}`, tags: [`g${n}`] }));
  const operationList = new OperationList(operations);
  operationList.update();
  assert.deepEqual([operationList.types.size, operationList.tags.size], [200, 200]);
});

// What is in sight.

test("the rows in sight are few, however many there are", () => {
  const view = { top: 50_000, height: 600, row: 50 };
  assert.deepEqual(visibleRange(view, 5_000), { first: 996, last: 1016 });
  assert.deepEqual(visibleRange({ ...view, top: 0 }, 5_000), { first: 0, last: 16 });
  assert.deepEqual(visibleRange(view, 1_005), { first: 996, last: 1_005 });
  assert.deepEqual(visibleRange({ ...view, top: 0 }, 3), { first: 0, last: 3 });
  assert.deepEqual(visibleRange(view, 0), { first: 0, last: 0 });
  // Scrolled to where there is nothing any more.
  const { first, last } = visibleRange(view, 10);
  assert.ok(first <= last && last === 10);
});

test("scrolling goes no further than to show a row", () => {
  const view = { top: 500, height: 200, row: 50 };
  assert.deepEqual([3, 10, 13, 20].map((index) => scrollToReveal(view, index)), [150, 500, 500, 850]);
});

test("who reads further down is not moved by what comes above", () => {
  const view = { top: 1_020, height: 500, row: 50 };
  assert.equal(keepAnchor(view, 20, 23), 1_170);
  assert.equal(keepAnchor(view, 20, 18), 920);
  assert.equal(keepAnchor({ ...view, top: 30 }, 0, 5), 30, "at the top one sees what comes");
});

test("keys lead to rows, and not beyond them", () => {
  const view = { top: 0, height: 520, row: 50 };
  const lead = (key, from) => indexForKey(key, from, 100, view);
  assert.deepEqual(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].map((key) => lead(key, 50)), [51, 49, 59, 41, 0, 99]);
  assert.deepEqual([lead("ArrowUp", 0), lead("ArrowDown", 99), lead("a", 3)], [0, 99, null]);
  assert.equal(indexForKey("End", -1, 0, view), null);
});

// Addresses.

test("an address says which operation it is of", () => {
  for (const id of ["550e8400-e29b", "a/b c#?%", "é\u{1F600}", "..", "<img>"]) {
    assert.equal(operationInHash(addressOf(id)), id);
  }
  for (const hash of ["", "#", "#/", "#/operation/", "#/operation/%", "#operations", addressOf(null)]) {
    assert.equal(operationInHash(hash), null);
  }
});

test("a task's page in Flower", () => {
  assert.equal(flowerTaskUrl("http://flower/x/", "a/b"), "http://flower/x/task/a%2Fb");
  for (const none of ["", "javascript:alert(1)", "//flower"]) assert.equal(flowerTaskUrl(none, "a"), null);
});

// Metrics.

const METRICS = (small, all, more = "") => `# HELP x y
celery_wsprogress_delivery_delay_seconds_bucket{le="0.01"} ${small}
celery_wsprogress_delivery_delay_seconds_bucket{le="0.1"} ${all}
celery_wsprogress_delivery_delay_seconds_bucket{le="+Inf"} ${all}
process_resident_memory_bytes 1234
${more}`;

test("Prometheus's text gives the figures by name", () => {
  const figures = parseMetrics(METRICS(1, 2, 'celery_wsprogress_events_total{type="a b"} 7'));
  assert.equal(figures.process_resident_memory_bytes, 1234);
  assert.equal(figures['events_total{type="a b"}'], 7);
});

test("the delay of most deliveries is that of those since the last reading", () => {
  const delay = (before, after) => delayQuantile(parseMetrics(before), parseMetrics(after), 0.95);
  assert.equal(delay(METRICS(10, 10), METRICS(10, 10)), null, "nothing was delivered");
  assert.ok(Math.abs(delay(METRICS(0, 10), METRICS(100, 110)) - 0.0095) < 1e-9);
  assert.ok(Math.abs(delay(METRICS(50, 50), METRICS(50, 150)) - 0.0955) < 1e-9);
  assert.equal(delay(METRICS(100, 100), METRICS(3, 3)), null, "it began anew");
  assert.equal(delay("", ""), null);
  const beyond = METRICS(1, 1).replace('"+Inf"} 1', '"+Inf"} 100');
  assert.equal(delay(METRICS(0, 0), beyond), 0.1, "beyond what is measured it is at least that");
});

test("a counter that began anew has no rate", () => {
  assert.deepEqual([counterRate(10, 30, 2), counterRate(10, 5, 2), counterRate(1, 1, 0)], [10, null, null]);
});

test("a series is a line with gaps, its newest at the right edge, and bounded", () => {
  const series = new Series(5);
  for (const value of [9, 1, 2, null, 4, 3]) series.push(value);
  assert.deepEqual(series.values, [1, 2, null, 4, 3]);
  assert.deepEqual([series.last, series.highest], [3, 4]);
  const stretches = series.stretches(40, 10);
  assert.deepEqual(stretches, [[[0, 8], [10, 6]], [[30, 2], [40, 4]]]);
  assert.equal(linePath(stretches), "M0 8L10 6M30 2L40 4");
  assert.equal(areaPath(stretches.slice(0, 1), 10), "M0 8L10 6L10 10L0 10Z");
  assert.equal(linePath(new Series(5).stretches(40, 10)), "");
});

test("a scale ends at a round number", () => {
  assert.deepEqual([0, 0.03, 1, 1.1, 4, 7, 480].map(roundUp), [1, 0.05, 1, 2, 5, 10, 500]);
});

// Words.

test("a row says how it stands", () => {
  const running = operation("a", {
    state: "running", status: "running", operation_type: "t", progress: 0.5, current: 5, total: 10, unit: "rows",
    rate: 2, eta: 65, started_at: 90, worker: "celery@a", attempt: 2,
  });
  const cells = format.rowCells(running, 100.7);
  assert.deepEqual(
    [cells.state, cells.percent, cells.message, cells.rate, cells.left, cells.time, cells.attempt],
    ["running", "50%", "5 of 10 rows", "2 rows/s", "1:05", "10 sec", "2"],
  );
  const failed = { ...running, state: "error", status: "error", error: "broke", error_type: "ValueError", duration: 3 };
  const { state, message, rate, left, time } = format.rowCells(failed, 1e9);
  assert.deepEqual([state, message, rate, left, time], ["failed", "ValueError: broke", "–", "–", "3 sec"]);
  const queued = format.rowCells(operation("q"), 1e9);
  assert.deepEqual([queued.state, queued.type, queued.time, queued.attempt], ["queued", "q", "–", "–"]);
  assert.equal(format.rowCells({ ...running, indeterminate: true }, 100).percent, "");
});

test("tones say what colours say", () => {
  const tone = (state, status = state) => format.operationTone({ state, status });
  assert.deepEqual(
    [tone("queued"), tone("running"), tone("running", "stalled"), tone("retrying"), tone("error"), tone("completed")],
    ["muted", "accent", "warning", "warning", "failure", "success"],
  );
});

test("an event is summarised on one line", () => {
  const summary = (type, data) => format.summary(event(type, data));
  assert.equal(summary("progress", { progress: 0.25, message: "rows" }), "25% rows");
  assert.equal(summary("log", { level: "info", message: "<b>" }), "info: <b>");
  assert.equal(summary("status", { status: "started", message: "" }), "started");
  assert.equal(summary("result", { result: { a: 1 } }), '{"a":1}');
  assert.equal(summary("completed", { duration: 3 }), "took 3 sec");
  assert.equal(summary("error", { error_type: "E", error: "broke" }), "E: broke");
  assert.equal(summary("something new", {}), "");
});

test("spans and sizes are what people read at a glance", () => {
  assert.deepEqual([0, 0.0123, 0.9999, 1, 61].map(format.durationOf), ["0 ms", "12 ms", "1 sec", "1 sec", "1:01"]);
  assert.deepEqual([12, 1_500, 63_000_000, 2.5e9].map(format.formatBytes), ["12 B", "1.5 KB", "63 MB", "2.5 GB"]);
  assert.equal(format.prettyJson({ a: 1 }), '{\n  "a": 1\n}');
  assert.equal(format.prettyJson("<img>"), "<img>");
});

test("the connection has a word for each state", () => {
  const word = (...how) => format.connectionLabel(...how).word;
  assert.deepEqual(
    [word("open", null, true), word("reconnecting", {}, true), word("reconnecting", {}, false), word("connecting", null, true), word("connecting", {}, true), word("closed", null, true)],
    ["Live", "Reconnecting", "Offline", "Connecting", "The sidecar is unreachable", "Closed"],
  );
});

test("a refusal says what may help", () => {
  const refusal = (code, given) => accessError(new CommandError(code, "The token has expired"), given);
  assert.deepEqual(refusal("unauthorized", false).asks, true);
  assert.equal(refusal("unauthorized", true).text, "The token has expired.");
  assert.equal(refusal("forbidden", true).asks, true);
  assert.equal(refusal("forbidden", false).asks, false, "without a key no token helps");
  assert.equal(accessError(new ConnectionClosed("policy", 1008), false).text, "policy.");
});

// What happened.

test("the newest events are kept, and stay while they are read", () => {
  const recent = new RecentEvents();
  for (let n = 0; n < 3 * MAX_EVENTS; n += 1) recent.push(event("log", { n }), operation("a", { operation_type: "t" }));
  assert.ok(recent.refresh());
  assert.equal(recent.refresh(), false, "nothing new");
  assert.equal(recent.shown.length, MAX_EVENTS);
  assert.equal(recent.shown[0].event.data.n, 3 * MAX_EVENTS - 1);
  recent.pause();
  recent.push(event("log", { n: "late" }), operation("a"));
  assert.equal(recent.refresh(), false);
  assert.deepEqual([recent.missed, recent.shown[0].event.data.n], [1, 3 * MAX_EVENTS - 1]);
  recent.resume();
  assert.ok(recent.refresh());
  assert.equal(recent.shown[0].event.data.n, "late");
});

const log = (message, more) => event("log", { level: "info", message }, more);
const said = (eventLog) => eventLog.lines.map(({ message }) => message);

test("what was before and what comes live is kept once, in its order", () => {
  const events = ["a", "b", "c", "d"].map((one) => log(one));
  const eventLog = new EventLog();
  for (const one of events.slice(1)) eventLog.take(one);
  eventLog.take(events[2]);
  assert.deepEqual(said(eventLog), ["b", "c", "d"]);
  const [first, last] = [eventLog.lines[0].number, eventLog.lines.at(-1).number];
  eventLog.applyHistory(events.slice(0, 3), true);
  assert.deepEqual(said(eventLog), ["a", "b", "c", "d"]);
  assert.ok(eventLog.lines[0].number > last && last > first, "who shows them sees that they are others");
  assert.equal(eventLog.incomplete, false);
  eventLog.applyHistory(events, false);
  assert.equal(eventLog.incomplete, true);
});

test("the result is that of the current run", () => {
  const eventLog = new EventLog();
  eventLog.take(event("result", { result: 0, truncated: true }));
  assert.deepEqual([eventLog.result, eventLog.truncated], [0, true]);
  eventLog.take(event("status", { status: "started" }));
  assert.deepEqual([eventLog.result, eventLog.truncated], [undefined, false]);
  eventLog.take(event("result", { result: null }));
  assert.equal(eventLog.result, null);
});

test("an event log does not grow for ever", () => {
  const eventLog = new EventLog();
  for (let n = 0; n < 5 * HELD; n += 1) eventLog.take(n % 2 ? log(`${n}`) : event("status", { status: `${n}` }));
  assert.ok(eventLog.lines.length <= HELD * 1.1 && eventLog.steps(null).length <= 100);
  assert.equal(eventLog.lines.at(-1).message, `${5 * HELD - 1}`);
  assert.equal(eventLog.incomplete, true);
});

test("steps have the time since the step before", () => {
  const steps = [
    event("status", { status: "queued", message: "", queue: "fast" }, { timestamp: 10 }),
    event("status", { status: "started", message: "", attempt: 2, worker: "celery@a" }, { timestamp: 12 }),
    event("status", { status: "retrying", message: "ValueError: no", retry_in: 3, starts_at: 16.5, attempt: 2, max_attempts: 4 }, { timestamp: 13.5 }),
    event("log", { level: "info", message: "x" }, { timestamp: 14 }),
    event("error", { error: "broke", error_type: "E", duration: 4, attempt: 3 }, { timestamp: 20 }),
  ].map(eventStep).filter(Boolean);
  const found = mergeSteps(steps, null).map(({ word, note, after }) => [word, note, after]);
  assert.deepEqual(found, [
    ["queued", "in fast", null],
    ["started", "attempt 2, on celery@a", 2],
    ["retrying", "ValueError: no, attempt 2 of 4, again in 3 sec", 1.5],
    ["failed", "E: broke\ntook 4 sec, at the attempt 3", 6.5],
  ]);
});

test("what the events do not show any more the snapshot shows", () => {
  const known = operation("a", {
    state: "completed", queued_at: 1, received_at: 2, started_at: 3, finished_at: 9,
  });
  const steps = [eventStep(event("status", { status: "halfway", message: "" }, { timestamp: 5 }))];
  const words = mergeSteps(steps, known).map(({ word }) => word);
  assert.deepEqual(words, ["queued", "received", "started", "halfway", "completed"]);
  assert.deepEqual(mergeSteps([], operation("b", { queued_at: 1 })).map(({ word }) => word), ["queued"]);
  assert.deepEqual(mergeSteps([], null), []);
});

for (const [type, end, word] of [
  ["error", { error: "revoked", error_type: "R", status: "cancelled", duration: 1 }, "cancelled"],
  ["error", { error: "broke", error_type: "E", status: "error", duration: 1 }, "failed"],
  ["completed", { status: "completed", duration: 1 }, "completed"],
  ["completed", { status: "completed", duration: 1, ignored: true }, "ignored"],
]) {
  test(`the end of an operation is shown by its events as by its snapshot: ${word}`, () => {
    const events = [
      event("status", { status: "started", message: "", details: {}, metadata: {}, operation_type: "t" }, { run: "r", timestamp: 3 }),
      event(type, end, { run: "r", timestamp: 4 }),
    ];
    const snapshot = events.reduce(reduce, null);
    for (const steps of [events.map(eventStep), []]) {
      assert.deepEqual(mergeSteps(steps, snapshot).map((one) => one.word), ["started", word]);
    }
  });
}

// Workflows.

const { isWorkflow, standInFor, tableRows, WorkflowSteps, workflowIdOf } = await dashboard("workflow_steps");
const { WorkflowTree } = await import(
  "../../celery_wsprogress/static/celery_wsprogress/client/workflow_tree.js"
);

const workflow = (id, total = 3) => operation(`workflow:${id}`, { details: { total, completed: 0, failed: 0 } });

function treeOf(...nodes) {
  const tree = new WorkflowTree();
  const total = nodes.filter(([kind]) => kind === "task").length;
  tree.update({
    total,
    nodes: nodes.map(([kind, parent, id], index) => ({
      index, parent, kind, state: "waiting", operation_id: id, operation_type: kind === "task" ? `shop.${id}` : undefined,
    })),
  });
  return tree;
}

test("a workflow of one step stands for its task", () => {
  assert.equal(workflowIdOf("workflow:c"), "c");
  assert.equal(workflowIdOf("c"), null);
  assert.equal(isWorkflow(workflow("c")), true);
  assert.equal(isWorkflow(workflow("c", 1)), false);
  assert.equal(isWorkflow(operation("c", { details: { total: 3 } })), false);
  assert.equal(isWorkflow(undefined), false);
  const steps = new WorkflowSteps(new Map());
  assert.equal(steps.isBelow(workflow("c", 1)), true);
  assert.equal(steps.isBelow(workflow("c")), false);
});

test("steps stand below workflows that are held", () => {
  const operations = new Map([["workflow:c", workflow("c")]]);
  const steps = new WorkflowSteps(operations);
  assert.deepEqual(steps.add("c", ["a", "b"]), ["a", "b"]);
  assert.deepEqual(steps.add("c", ["b", "c"]), ["c"]);
  assert.equal(steps.isBelow(operation("a")), true);
  assert.equal(steps.isBelow(operation("x")), false);
  assert.equal(steps.isBelow(operation("x", { workflow_ids: ["c"] })), true);
  assert.equal(steps.isBelow(operation("x", { workflow_ids: ["gone"] })), false);
  operations.clear();
  assert.equal(steps.isBelow(operation("a")), false);
  steps.forgetEvicted();
  operations.set("workflow:c", workflow("c"));
  assert.equal(steps.isBelow(operation("a")), false);
});

test("an unfolded workflow has its steps below it, each once", () => {
  const operations = new Map([["workflow:c", workflow("c")], ["x", operation("x")], ["b", operation("b")]]);
  const order = [{ id: "workflow:c" }, { id: "b" }, { id: "x" }];
  const rows = (unfolded) =>
    tableRows(order, operations, unfolded).map(({ id, level, unfolded }) => [id, level, unfolded]);
  assert.deepEqual(rows(new Map()), [["workflow:c", 1, false], ["b", 1, null], ["x", 1, null]]);
  const tree = treeOf(["chain", null], ["task", 0, "a"], ["group", 0], ["task", 2, "b"], ["task", 0, "c"]);
  assert.deepEqual(rows(new Map([["workflow:c", tree]])), [
    ["workflow:c", 1, true], ["a", 2, null], ["b", 3, null], ["c", 2, null], ["x", 1, null],
  ]);
});

test("a step that has not been heard of has a stand-in that stays the same", () => {
  const tree = treeOf(["chain", null], ["task", 0, "a"], ["task", 0, "b"]);
  const node = tree.steps.get("b");
  const first = standInFor(node);
  assert.equal(first, standInFor(node));
  assert.deepEqual([first.operation_type, first.status, first.state], ["shop.b", "waiting", "queued"]);
  assert.equal(format.stateLabel(first, 0), "waiting");
  tree.report(operation("b", { state: "running", progress: 0.5, queued_at: 1 }));
  assert.equal(standInFor(node).progress, 0.5);
  // Nobody knows since when it runs.
  assert.equal(format.elapsed(standInFor(node), 1e9), null);
});

test("the list hides steps unless it is filtered, and counts workflows", () => {
  const operations = new Map([["workflow:c", workflow("c")], ["a", operation("a")]]);
  const steps = new WorkflowSteps(operations);
  const list = new OperationList(operations, (one) => steps.isBelow(one));
  list.update();
  assert.equal(list.workflows, 1);
  assert.equal(list.order.length, 2);
  for (const id of steps.add("c", ["a"])) list.markDirty(id);
  list.update();
  assert.deepEqual(list.order.map(({ id }) => id), ["workflow:c"]);
  list.filter({ ...EVERYTHING, group: "waiting" });
  list.update();
  assert.equal(list.order.length, 2);
  list.filter({ ...EVERYTHING, workflows: true });
  list.update();
  assert.deepEqual(list.order.map(({ id }) => id), ["workflow:c"]);
  operations.delete("workflow:c");
  list.update();
  assert.equal(list.workflows, 0);
});

test("the message of a workflow tells how many steps are over", () => {
  const one = workflow("c");
  one.details = { total: 3, completed: 1, failed: 1, step: "shop.a" };
  assert.equal(format.messageOf({ ...one, message: "rows" }), "2 of 3 steps · shop.a: rows");
  assert.equal(format.messageOf({ ...one, state: "completed" }), "2 of 3 steps");
  assert.equal(format.messageOf({ ...one, state: "error", error: "broke" }), "2 of 3 steps · broke");
});
