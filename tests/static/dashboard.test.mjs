/** The pure modules of the dashboard. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { reduce, unknown } from "../../celery_wsprogress/static/celery_wsprogress/reducer.js";
import { CommandError, ConnectionClosed } from "../../celery_wsprogress/static/celery_wsprogress/protocol.js";

const dashboard = (name) =>
  import(`../../celery_wsprogress/static/celery_wsprogress/dashboard/${name}.js`);
const { refusalOf } = await dashboard("admission");
const { delayOf, figuresIn, rateOf } = await dashboard("exposition");
const { EVERYTHING, filtersNothing, groupOf, predicateOf } = await dashboard("filtering");
const { compare, indexOf, placeOf } = await dashboard("ordering");
const { KEPT, Recent } = await dashboard("recent");
const { Roster, sumOf } = await dashboard("roster");
const { addressOf, flowerPage, operationIn } = await dashboard("routing");
const { areaOf, ceiling, lineOf, Series } = await dashboard("series");
const { Story, KEPT: HELD } = await dashboard("story");
const telling = await dashboard("telling");
const { stepOf, stepsOf } = await dashboard("timeline");
const { anchored, keyed, revealing, windowOf } = await dashboard("window");

const operation = (id, more = {}) => ({ ...unknown(id, 100), ...more });
const event = (type, data, more = {}) =>
  ({ event_type: type, operation_id: "op", timestamp: 0, data, event_id: `e.${(number += 1)}`, ...more });
let number = 0;

// Which are shown, and in which order.

const FILTERED = operation("4f1c-9", {
  operation_type: "shop.Import", tags: ["Nightly", "eu"], message: "Reading rows", worker: "celery@a",
  state: "running", error: null,
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
  [{ group: "running", type: "shop", tag: "eu", text: "rows" }, true],
  [{ group: "running", type: "shop", tag: "us", text: "rows" }, false],
]) {
  test(`a filter ${JSON.stringify(filter)} shows it: ${shown}`, () => {
    assert.equal(predicateOf({ ...EVERYTHING, ...filter })(FILTERED), shown);
  });
}

test("a filter of blanks is none", () => {
  assert.ok(filtersNothing({ group: "", type: " ", tag: "", text: " " }));
  assert.ok(!filtersNothing({ ...EVERYTHING, group: "error" }));
});

test("each state is of one group, also one that nobody knows yet", () => {
  const states = ["queued", "received", "running", "retrying", "completed", "error", "cancelled", "paused"];
  const groups = ["waiting", "waiting", "running", "running", "completed", "error", "cancelled", "running"];
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
  const order = all.map(placeOf).sort(compare).map(({ id }) => id);
  assert.deepEqual(order, ["new", "again", "old", "waits", "done-late", "done-early"]);
});

test("progress moves nobody", () => {
  const before = operation("a", { state: "running", progress: 0.1 });
  assert.equal(compare(placeOf(before), placeOf({ ...before, progress: 0.9, message: "x" })), 0);
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

test("the roster is what sorting and filtering everything anew would give", () => {
  const chance = chances();
  const pick = (list) => list[Math.floor(chance.next().value * list.length)];
  const operations = new Map();
  const roster = new Roster(operations);
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
      roster.touch(id);
    }
    if (round % 20 === 19) for (const id of [...operations.keys()].slice(0, pick([1, 90]))) operations.delete(id);
    if (round % 7 === 6) roster.filter((filter = pick(filters)));
    const before = roster.order.map(({ id }) => id);
    const changed = roster.settle();
    const shown = [...operations.values()].filter(predicateOf(filter));
    const expected = shown.map(placeOf).sort(compare).map(({ id }) => id);
    const found = roster.order.map(({ id }) => id);
    assert.deepEqual(found, expected);
    assert.ok(changed || assert.deepEqual(found, before) === undefined);
    assert.equal(roster.size, operations.size);
    assert.equal(sumOf(roster.counts), operations.size);
    const running = [...operations.values()].filter(({ state }) => state === "running").length;
    assert.equal(roster.counts.running, running);
  }
});

test("a roster looks only at what was touched", () => {
  const operations = new Map();
  for (let n = 0; n < 1_000; n += 1) operations.set(`${n}`, operation(`${n}`, { state: "running", started_at: n }));
  const roster = new Roster(operations);
  roster.settle();
  const { order } = roster;
  const asked = [];
  const { get } = operations;
  operations.get = (id) => (asked.push(id), get.call(operations, id));
  operations.set("7", { ...get.call(operations, "7"), progress: 0.5 });
  assert.equal(roster.unsettled, false);
  roster.touch("7");
  assert.equal(roster.unsettled, true);
  assert.equal(roster.settle(), false);
  assert.equal(roster.unsettled, false);
  assert.deepEqual(asked, ["7"]);
  assert.equal(roster.order, order);
});

test("types and tags are proposed, and no more than can be read", () => {
  const operations = new Map();
  for (let n = 0; n < 500; n += 1) operations.set(`${n}`, operation(`${n}`, { operation_type: `t${n}`, tags: [`g${n}`] }));
  const roster = new Roster(operations);
  roster.settle();
  assert.deepEqual([roster.types.size, roster.tags.size], [200, 200]);
});

// What is in sight.

test("the rows in sight are few, however many there are", () => {
  const view = { top: 50_000, height: 600, row: 50 };
  assert.deepEqual(windowOf(view, 5_000), { first: 996, last: 1016 });
  assert.deepEqual(windowOf({ ...view, top: 0 }, 5_000), { first: 0, last: 16 });
  assert.deepEqual(windowOf(view, 1_005), { first: 996, last: 1_005 });
  assert.deepEqual(windowOf({ ...view, top: 0 }, 3), { first: 0, last: 3 });
  assert.deepEqual(windowOf(view, 0), { first: 0, last: 0 });
  // Scrolled to where there is nothing any more.
  const { first, last } = windowOf(view, 10);
  assert.ok(first <= last && last === 10);
});

test("scrolling goes no further than to show a row", () => {
  const view = { top: 500, height: 200, row: 50 };
  assert.deepEqual([3, 10, 13, 20].map((index) => revealing(view, index)), [150, 500, 500, 850]);
});

test("who reads further down is not moved by what comes above", () => {
  const view = { top: 1_020, height: 500, row: 50 };
  assert.equal(anchored(view, 20, 23), 1_170);
  assert.equal(anchored(view, 20, 18), 920);
  assert.equal(anchored({ ...view, top: 30 }, 0, 5), 30, "at the top one sees what comes");
});

test("keys lead to rows, and not beyond them", () => {
  const view = { top: 0, height: 520, row: 50 };
  const lead = (key, from) => keyed(key, from, 100, view);
  assert.deepEqual(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].map((key) => lead(key, 50)), [51, 49, 59, 41, 0, 99]);
  assert.deepEqual([lead("ArrowUp", 0), lead("ArrowDown", 99), lead("a", 3)], [0, 99, null]);
  assert.equal(keyed("End", -1, 0, view), null);
});

// Addresses.

test("an address says which operation it is of", () => {
  for (const id of ["550e8400-e29b", "a/b c#?%", "é\u{1F600}", "..", "<img>"]) {
    assert.equal(operationIn(addressOf(id)), id);
  }
  for (const hash of ["", "#", "#/", "#/operation/", "#/operation/%", "#operations", addressOf(null)]) {
    assert.equal(operationIn(hash), null);
  }
});

test("a task's page in Flower", () => {
  assert.equal(flowerPage("http://flower/x/", "a/b"), "http://flower/x/task/a%2Fb");
  for (const none of ["", "javascript:alert(1)", "//flower"]) assert.equal(flowerPage(none, "a"), null);
});

// Figures.

const METRICS = (small, all, more = "") => `# HELP x y
celery_wsprogress_delivery_delay_seconds_bucket{le="0.01"} ${small}
celery_wsprogress_delivery_delay_seconds_bucket{le="0.1"} ${all}
celery_wsprogress_delivery_delay_seconds_bucket{le="+Inf"} ${all}
process_resident_memory_bytes 1234
${more}`;

test("Prometheus's text gives the figures by name", () => {
  const figures = figuresIn(METRICS(1, 2, 'celery_wsprogress_events_total{type="a b"} 7'));
  assert.equal(figures.process_resident_memory_bytes, 1234);
  assert.equal(figures['events_total{type="a b"}'], 7);
});

test("the delay of most deliveries is that of those since the last reading", () => {
  const delay = (before, after) => delayOf(figuresIn(before), figuresIn(after), 0.95);
  assert.equal(delay(METRICS(10, 10), METRICS(10, 10)), null, "nothing was delivered");
  assert.ok(Math.abs(delay(METRICS(0, 10), METRICS(100, 110)) - 0.0095) < 1e-9);
  assert.ok(Math.abs(delay(METRICS(50, 50), METRICS(50, 150)) - 0.0955) < 1e-9);
  assert.equal(delay(METRICS(100, 100), METRICS(3, 3)), null, "it began anew");
  assert.equal(delay("", ""), null);
  const beyond = METRICS(1, 1).replace('"+Inf"} 1', '"+Inf"} 100');
  assert.equal(delay(METRICS(0, 0), beyond), 0.1, "beyond what is measured it is at least that");
});

test("a counter that began anew has no rate", () => {
  assert.deepEqual([rateOf(10, 30, 2), rateOf(10, 5, 2), rateOf(1, 1, 0)], [10, null, null]);
});

test("a series is a line with gaps, its newest at the right edge, and bounded", () => {
  const series = new Series(5);
  for (const value of [9, 1, 2, null, 4, 3]) series.push(value);
  assert.deepEqual(series.values, [1, 2, null, 4, 3]);
  assert.deepEqual([series.last, series.highest], [3, 4]);
  const stretches = series.stretches(40, 10);
  assert.deepEqual(stretches, [[[0, 8], [10, 6]], [[30, 2], [40, 4]]]);
  assert.equal(lineOf(stretches), "M0 8L10 6M30 2L40 4");
  assert.equal(areaOf(stretches.slice(0, 1), 10), "M0 8L10 6L10 10L0 10Z");
  assert.equal(lineOf(new Series(5).stretches(40, 10)), "");
});

test("a scale ends at a round number", () => {
  assert.deepEqual([0, 0.03, 1, 1.1, 4, 7, 480].map(ceiling), [1, 0.05, 1, 2, 5, 10, 500]);
});

// Words.

test("a row says how it stands", () => {
  const running = operation("a", {
    state: "running", status: "running", operation_type: "t", progress: 0.5, current: 5, total: 10, unit: "rows",
    rate: 2, eta: 65, started_at: 90, worker: "celery@a", attempt: 2,
  });
  const cells = telling.cellsOf(running, 100.7);
  assert.deepEqual(
    [cells.state, cells.percent, cells.message, cells.rate, cells.left, cells.time, cells.attempt],
    ["running", "50%", "5 of 10 rows", "2 rows/s", "1:05", "10 sec", "2"],
  );
  const failed = { ...running, state: "error", status: "error", error: "broke", error_type: "ValueError", duration: 3 };
  const { state, message, rate, left, time } = telling.cellsOf(failed, 1e9);
  assert.deepEqual([state, message, rate, left, time], ["failed", "ValueError: broke", "–", "–", "3 sec"]);
  const queued = telling.cellsOf(operation("q"), 1e9);
  assert.deepEqual([queued.state, queued.type, queued.time, queued.attempt], ["queued", "q", "–", "–"]);
  assert.equal(telling.cellsOf({ ...running, indeterminate: true }, 100).percent, "");
});

test("tones say what colours say", () => {
  const tone = (state, status = state) => telling.toneOf({ state, status });
  assert.deepEqual(
    [tone("queued"), tone("running"), tone("running", "stalled"), tone("retrying"), tone("error"), tone("completed")],
    ["muted", "accent", "warning", "warning", "failure", "success"],
  );
});

test("an event is told on one line", () => {
  const told = (type, data) => telling.told(event(type, data));
  assert.equal(told("progress", { progress: 0.25, message: "rows" }), "25% rows");
  assert.equal(told("log", { level: "info", message: "<b>" }), "info: <b>");
  assert.equal(told("status", { status: "started", message: "" }), "started");
  assert.equal(told("result", { result: { a: 1 } }), '{"a":1}');
  assert.equal(told("completed", { duration: 3 }), "took 3 sec");
  assert.equal(told("error", { error_type: "E", error: "broke" }), "E: broke");
  assert.equal(told("something new", {}), "");
});

test("spans and sizes are what people read at a glance", () => {
  assert.deepEqual([0, 0.0123, 0.9999, 1, 61].map(telling.spanOf), ["0 ms", "12 ms", "1 sec", "1 sec", "1:01"]);
  assert.deepEqual([12, 1_500, 63_000_000, 2.5e9].map(telling.sizeOf), ["12 B", "1.5 KB", "63 MB", "2.5 GB"]);
  assert.equal(telling.textOf({ a: 1 }), '{\n  "a": 1\n}');
  assert.equal(telling.textOf("<img>"), "<img>");
});

test("the connection has a word for each state", () => {
  const word = (...how) => telling.connectionOf(...how).word;
  assert.deepEqual(
    [word("open", null, true), word("reconnecting", {}, true), word("reconnecting", {}, false), word("connecting", null, true), word("connecting", {}, true), word("closed", null, true)],
    ["Live", "Reconnecting", "Offline", "Connecting", "The sidecar is away", "Closed"],
  );
});

test("a refusal says what may help", () => {
  const refusal = (code, given) => refusalOf(new CommandError(code, "The token has expired"), given);
  assert.deepEqual(refusal("unauthorized", false).asks, true);
  assert.equal(refusal("unauthorized", true).text, "The token has expired.");
  assert.equal(refusal("forbidden", true).asks, true);
  assert.equal(refusal("forbidden", false).asks, false, "without a key no token helps");
  assert.equal(refusalOf(new ConnectionClosed("policy", 1008), false).text, "policy.");
});

// What happened.

test("the newest events are kept, and stay while they are read", () => {
  const recent = new Recent();
  for (let n = 0; n < 3 * KEPT; n += 1) recent.push(event("log", { n }), operation("a", { operation_type: "t" }));
  assert.ok(recent.settle());
  assert.equal(recent.settle(), false, "nothing new");
  assert.equal(recent.shown.length, KEPT);
  assert.equal(recent.shown[0].event.data.n, 3 * KEPT - 1);
  recent.pause();
  recent.push(event("log", { n: "late" }), operation("a"));
  assert.equal(recent.settle(), false);
  assert.deepEqual([recent.missed, recent.shown[0].event.data.n], [1, 3 * KEPT - 1]);
  recent.resume();
  assert.ok(recent.settle());
  assert.equal(recent.shown[0].event.data.n, "late");
});

const log = (message, more) => event("log", { level: "info", message }, more);
const said = (story) => story.lines.map(({ message }) => message);

test("what was before and what comes live is told once, in its order", () => {
  const events = ["a", "b", "c", "d"].map((one) => log(one));
  const story = new Story();
  for (const one of events.slice(1)) story.take(one);
  story.take(events[2]);
  assert.deepEqual(said(story), ["b", "c", "d"]);
  const [first, last] = [story.lines[0].number, story.lines.at(-1).number];
  story.adopt(events.slice(0, 3), true);
  assert.deepEqual(said(story), ["a", "b", "c", "d"]);
  assert.ok(story.lines[0].number > last && last > first, "who shows them sees that they are others");
  assert.equal(story.incomplete, false);
  story.adopt(events, false);
  assert.equal(story.incomplete, true);
});

test("the result is that of the current run", () => {
  const story = new Story();
  story.take(event("result", { result: 0, truncated: true }));
  assert.deepEqual([story.result, story.truncated], [0, true]);
  story.take(event("status", { status: "started" }));
  assert.deepEqual([story.result, story.truncated], [undefined, false]);
  story.take(event("result", { result: null }));
  assert.equal(story.result, null);
});

test("a story does not grow for ever", () => {
  const story = new Story();
  for (let n = 0; n < 5 * HELD; n += 1) story.take(n % 2 ? log(`${n}`) : event("status", { status: `${n}` }));
  assert.ok(story.lines.length <= HELD * 1.1 && story.steps(null).length <= 100);
  assert.equal(story.lines.at(-1).message, `${5 * HELD - 1}`);
  assert.equal(story.incomplete, true);
});

test("steps have the time since the step before", () => {
  const steps = [
    event("status", { status: "queued", message: "", queue: "fast" }, { timestamp: 10 }),
    event("status", { status: "started", message: "", attempt: 2, worker: "celery@a" }, { timestamp: 12 }),
    event("status", { status: "retrying", message: "ValueError: no", retry_in: 3 }, { timestamp: 13.5 }),
    event("log", { level: "info", message: "x" }, { timestamp: 14 }),
    event("error", { error: "broke", error_type: "E", duration: 4, attempt: 3 }, { timestamp: 20 }),
  ].map(stepOf).filter(Boolean);
  const found = stepsOf(steps, null).map(({ word, note, after }) => [word, note, after]);
  assert.deepEqual(found, [
    ["queued", "in fast", null],
    ["started", "attempt 2, on celery@a", 2],
    ["retrying", "ValueError: no, again in 3 sec", 1.5],
    ["failed", "E: broke\ntook 4 sec, at the attempt 3", 6.5],
  ]);
});

test("what no event tells any more the snapshot tells", () => {
  const known = operation("a", {
    state: "completed", queued_at: 1, received_at: 2, started_at: 3, finished_at: 9,
  });
  const told = [stepOf(event("status", { status: "halfway", message: "" }, { timestamp: 5 }))];
  const words = stepsOf(told, known).map(({ word }) => word);
  assert.deepEqual(words, ["queued", "received", "started", "halfway", "completed"]);
  assert.deepEqual(stepsOf([], operation("b", { queued_at: 1 })).map(({ word }) => word), ["queued"]);
  assert.deepEqual(stepsOf([], null), []);
});

for (const [type, end, word] of [
  ["error", { error: "revoked", error_type: "R", status: "cancelled", duration: 1 }, "cancelled"],
  ["error", { error: "broke", error_type: "E", status: "error", duration: 1 }, "failed"],
  ["completed", { status: "completed", duration: 1 }, "completed"],
  ["completed", { status: "completed", duration: 1, ignored: true }, "ignored"],
]) {
  test(`the end of a life is told by its events as by its snapshot: ${word}`, () => {
    const events = [
      event("status", { status: "started", message: "", details: {}, metadata: {}, operation_type: "t" }, { run: "r", timestamp: 3 }),
      event(type, end, { run: "r", timestamp: 4 }),
    ];
    const snapshot = events.reduce(reduce, null);
    for (const told of [events.map(stepOf), []]) {
      assert.deepEqual(stepsOf(told, snapshot).map((one) => one.word), ["started", word]);
    }
  });
}
