/** The pure modules, by the transcripts that the Python tests read too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Backoff } from "../../celery_wsprogress/static/celery_wsprogress/client/backoff.js";
import { ResumeState } from "../../celery_wsprogress/static/celery_wsprogress/client/resume_state.js";
import { isFinal, restartDelay } from "../../celery_wsprogress/static/celery_wsprogress/client/close_codes.js";
import { chunkIds } from "../../celery_wsprogress/static/celery_wsprogress/client/protocol.js";
import { reduce } from "../../celery_wsprogress/static/celery_wsprogress/client/reducer.js";
import * as selectors from "../../celery_wsprogress/static/celery_wsprogress/client/selectors.js";
import { StreamText } from "../../celery_wsprogress/static/celery_wsprogress/client/stream_text.js";
import { Listener, Subscription } from "../../celery_wsprogress/static/celery_wsprogress/client/subscriptions.js";
import { tickDelay } from "../../celery_wsprogress/static/celery_wsprogress/element/countdown.js";
import * as display from "../../celery_wsprogress/static/celery_wsprogress/element/display.js";
import * as format from "../../celery_wsprogress/static/celery_wsprogress/element/format.js";
import { aggregate } from "../../celery_wsprogress/static/celery_wsprogress/element/workflow.js";

const transcript = (name) =>
  JSON.parse(readFileSync(new URL(`../transcripts/${name}.json`, import.meta.url)));

for (const { chance, waits } of transcript("backoff")) {
  test(`waits with the chance ${chance}`, () => {
    const backoff = new Backoff(() => chance);
    const found = waits.map(() => backoff.next());
    assert.deepEqual(found, waits);
    backoff.reset();
    assert.equal(backoff.next(), waits[0]);
  });
}

for (const { code, reason, final, delay } of transcript("closing")) {
  test(`close code ${code} ${reason}`, () => {
    assert.equal(isFinal(code), final);
    assert.equal(restartDelay(code, reason), delay);
  });
}

for (const { fields, operation, selects } of transcript("selectors")) {
  test(`${JSON.stringify(fields)} selects ${operation.operation_type}: ${selects}`, () => {
    assert.equal(selectors.selects(fields, operation), selects);
  });
}

test("a selector has one field, or means everything", () => {
  assert.deepEqual(selectors.selectorFields({}), { operation_id: "*" });
  assert.deepEqual(selectors.selectorFields({ tag: "a", group_id: undefined }), { tag: "a" });
  assert.throws(() => selectors.selectorFields({ tag: "a", group_id: "b" }), TypeError);
});

for (const { name, steps } of transcript("memory")) {
  test(`memory: ${name}`, () => {
    const state = new ResumeState();
    const everything = { operation_id: selectors.EVERYTHING };
    for (const step of steps) {
      if (step.add === selectors.EVERYTHING) state.selectors.set("*", everything);
      else if ("add" in step) state.add(step.add);
      else if ("remove" in step) state.remove(step.remove);
      else if ("accept" in step) assert.equal(state.accept(step.accept), step.new);
      else assert.deepEqual([...state.resume()], step.resume);
    }
  });
}

test("many ids fit into commands, also long and foreign ones", () => {
  const ids = Array.from({ length: 2_000 }, (_, n) => `${n}`.padStart(36, "0"));
  const lists = [...chunkIds([...ids, "\u{1F600}".repeat(1_000), "é".repeat(1_000)])];
  assert.equal(lists.flat().length, 2_002);
  for (const list of lists) {
    const since = Object.fromEntries(list.map((id) => [id, "0123abcd.1735734005456-0.9"]));
    const command = JSON.stringify({ command: "subscribe", operation_ids: list, since });
    assert.ok(new TextEncoder().encode(command).length < 64_000);
  }
});

test("memory does not grow for ever, and keeps what is watched by id", () => {
  const state = new ResumeState();
  state.add("kept");
  state.selectors.set("*", { operation_id: "*" });
  const event = (id, number) => ({ event_type: "log", operation_id: id, event_id: `e.${number}` });
  state.accept(event("kept", "first"));
  for (let number = 0; number < 120_000; number++) state.accept(event(`op-${number}`, number));
  const [first, passing] = [...state.resume()];
  assert.deepEqual(first.since, { kept: "e.first" });
  assert.ok(passing.operation_ids.length <= 1_000);
  assert.ok(state.has("e.119999") && state.has("e.70000") && !state.has("e.1"));
});

for (const { name, frames, snapshot } of transcript("lives")) {
  test(`reducer: ${name}`, () => {
    const states = frames.reduce((found, one) => [...found, reduce(found.at(-1) ?? null, one)], []);
    assert.deepEqual(onlyTold(states.at(-1), frames), onlyTold(snapshot, frames));
  });

  test(`reducer: ${name}, replayed over what it came to`, () => {
    const again = frames.reduce(reduce, snapshot);
    const expected = { ...snapshot, event_count: again.event_count };
    assert.deepEqual(onlyTold(again, frames), onlyTold(expected, frames));
  });
}

/** A snapshot without what came behind what was known already: nobody is sent that. */
function onlyTold(snapshot, frames) {
  const words = new Set(frames.map(({ data }) => data.status));
  const late = ["queued", "received"].filter((word) => !words.has(word));
  const hidden = Object.fromEntries(late.map((word) => [`${word}_at`, null]));
  const metadata = late.length ? {} : snapshot.metadata;
  return { ...snapshot, ...hidden, metadata, started_at: late.length ? 0 : snapshot.started_at };
}

test("a fold leaves the snapshot before it as it was", () => {
  const [{ frames }] = transcript("lives");
  let before = null;
  for (const frame of frames) {
    const copy = structuredClone(before);
    const after = reduce(before, frame);
    assert.deepEqual(before, copy);
    assert.notEqual(after, before);
    before = after;
  }
});

test("metadata under ever new names is bounded, and the newest stays", () => {
  const event = (number, status = "busy") => ({
    event_type: "status",
    operation_id: "op-1",
    timestamp: 1,
    run: "r1",
    data: { status, message: "", details: {}, metadata: { [`name ${number}`]: "x".repeat(500) } },
  });
  let operation = null;
  for (let number = 0; number < 100; number++) {
    operation = reduce(operation, event(number, number ? "busy" : "started"));
    assert.ok(JSON.stringify(operation.metadata).length <= 8_000);
    assert.ok(`name ${number}` in operation.metadata);
  }
  const late = event(100, "received");
  late.data.metadata = { text: "x".repeat(7_900) };
  assert.deepEqual(reduce(operation, late).metadata, operation.metadata);
  const large = event(101);
  large.data.metadata = { text: "é".repeat(4_000) };
  assert.deepEqual(reduce(operation, large).metadata, { truncated: true });
});

test("a snapshot frame takes the place of what was known", () => {
  const [{ frames, snapshot }] = transcript("lives");
  const frame = { event_type: "snapshot", operation_id: "op-1", data: {}, operation: snapshot };
  assert.deepEqual(reduce(reduce(null, frames[0]), frame), snapshot);
});

test("who joins later gets what is repeated for it once, and the others do not", () => {
  const [early, late] = [new Listener({}, {}), new Listener({}, {})];
  const event = (number) => ({ event_id: `e.${number}` });
  assert.ok(!early.accepts(event(0), true), "nothing before it begins");
  early.active = true;
  assert.deepEqual([1, 2].map((n) => early.accepts(event(n), true)), [true, true]);
  late.active = true;
  // The run is repeated, twice, and goes on.
  const stream = [1, 2, 1, 2].map((n) => [event(n), false]).concat([[event(3), true]]);
  assert.deepEqual(stream.map((one) => early.accepts(...one)), [false, false, false, false, true]);
  assert.deepEqual(stream.map((one) => late.accepts(...one)), [true, true, false, false, true]);
});

test("a selector's subscription lets go of what ended first, and of nothing that runs", () => {
  const subscription = new Subscription({ operation_id: "*" }, 10);
  for (let number = 0; number < 100; number++) {
    const state = number % 10 ? "completed" : "running";
    subscription.keep({ operation_id: `op-${number}`, state });
  }
  const kept = [...subscription.operations.values()];
  assert.ok(kept.length <= 11);
  assert.equal(kept.filter(({ state }) => state === "running").length, 10);
});

test("figures are what people read at a glance", () => {
  const [{ frames }] = transcript("lives");
  const running = frames.slice(0, 4).reduce(reduce, null);
  const { WORDS } = format;
  assert.deepEqual(format.formatFigures(running, WORDS, "en"), ["1 of 4 rows", "2 rows/s", "1.5 sec left"]);
  const ended = frames.reduce(reduce, null);
  assert.deepEqual(format.formatFigures(ended, WORDS, "en"), ["took 4 sec"]);
  assert.equal(format.formatStatus(ended, WORDS), "done");
  assert.equal(format.formatStatus(null, WORDS), "waiting for updates");
  const times = [0.04, 9.96, 59.4, 59.6, 65, 3600, 7384].map((one) => format.formatDuration(one, "en"));
  assert.deepEqual(times, ["0 sec", "10 sec", "59 sec", "1:00", "1:05", "1:00:00", "2:03:04"]);
  assert.deepEqual([0.999, 1, 0].map((one) => format.formatPercent(one, "en")), ["99%", "100%", "0%"]);
  assert.equal(format.formatNumber(1_234_567, "en"), "1.2M");
  assert.equal(format.formatResult("x".repeat(400)).length, 300);
});

test("what waits says when it starts, and which attempt that is", () => {
  const { WORDS } = format;
  const lives = Object.fromEntries(transcript("lives").map((one) => [one.name, one]));
  const waits = lives["a task waits for its time, and is waiting still"].snapshot;
  const start = (now, operation = waits) => format.formatStart(operation, WORDS, now, "en");
  assert.deepEqual([0, 260, 439, 440, 441, 499.5, 500, 600].map((now) => start(now)), [
    "starts in 9 min", "starts in 4 min", "starts in 2 min", "starts in 60 sec", "starts in 59 sec",
    "starts in 1 sec", "queued", "queued",
  ]);
  const figures = (now, operation = waits) => format.formatFigures(operation, WORDS, "en", now);
  assert.deepEqual([figures(0), figures(899), figures(900)], [["expires in 15 min"], ["expires in 1 sec"], []]);
  assert.deepEqual([0, 400, 499, 700, 900].map((now) => tickDelay(waits, now)), [10_000, 1_000, 1_000, 10_000, null]);
  assert.equal(tickDelay(null, 0), null);
  const retries = lives["a task waits for its next attempt"].snapshot;
  assert.equal(start(5, retries), "retrying in 60 sec");
  assert.equal(start(65, retries), "retrying");
  assert.deepEqual(figures(5, retries), ["attempt 2 of 4"]);
  // A message that only goes back to its queue is no other attempt.
  assert.deepEqual(figures(5, { ...retries, max_attempts: null }), []);
  const again = lives["a task is tried a second time"].snapshot;
  assert.deepEqual(figures(70, again), ["attempt 2 of 4"]);
  assert.deepEqual(figures(70, { ...again, max_attempts: null }), ["attempt 2"]);
  // An older sidecar says neither.
  assert.equal(start(0, { ...waits, starts_at: undefined, expires_at: undefined }), "queued");
  const long = [60.2, 3_600, 7_201, 86_400, 172_801, 1e6].map((one) => format.formatWait(one, "en"));
  assert.deepEqual(long, ["2 min", "60 min", "2 hr", "24 hr", "2 days", "12 days"]);
});

test("a workflow is as far as its members", () => {
  const member = (state, progress) => ({ state, progress, started_at: 1, finished_at: 3 });
  assert.equal(aggregate("g", []), null);
  const running = aggregate("g", [member("completed", 1), member("running", 0.5), member("queued", 0)]);
  assert.deepEqual([running.state, running.progress, running.current, running.total], ["running", 0.5, 1, 3]);
  const failed = aggregate("g", [member("completed", 1), { ...member("error", 0.2), error: "broke" }]);
  assert.deepEqual([failed.state, failed.error, failed.duration], ["error", "broke", 2]);
  assert.equal(aggregate("g", [member("completed", 1)]).state, "completed");
  assert.equal(aggregate("g", [member("queued", 0)]).state, "queued");
  const some = aggregate("g", [member("completed", 1)], 2);
  assert.deepEqual([some.state, some.progress, some.total, some.duration], ["running", 0.5, 2, null]);
  const waiting = (at) => ({ ...member("scheduled", 0), starts_at: at });
  const scheduled = aggregate("g", [waiting(9), waiting(5)]);
  assert.deepEqual([scheduled.state, scheduled.starts_at], ["scheduled", 5]);
  const mixed = aggregate("g", [waiting(9), member("queued", 0)]);
  assert.deepEqual([mixed.state, mixed.starts_at], ["queued", null]);
});

test("who has no connection reads when it is tried again", () => {
  const lost = { code: 1006, reason: "", retryAt: 20_500 };
  const link = { state: "connecting", lost, error: null, isUnknown: false, retryIn: null };
  const retries = (client) => display.secondsToRetry(client, 1_000);
  assert.deepEqual([link, { ...link, state: "open" }, { ...link, lost: null }, null].map(retries), [20, null, null, null]);
  assert.equal(display.secondsToRetry(link, 20_500), null);
  const text = (retryIn) => display.displayOf(null, format.WORDS, { ...link, retryIn }, 0, "en").text;
  assert.deepEqual([20, null].map(text), ["Trying again in 20 sec.", "Trying again automatically."]);
  assert.equal(tickDelay(null, 0, 20), 1_000);
});

test("what an exception said can be left out", () => {
  const retrying = { state: "retrying", message: "KeyError: 'secret'", error: null, error_type: null };
  assert.equal(display.withoutErrorDetail(retrying).message, "");
  // A retry that is revoked, or lost, before its next attempt.
  for (const state of ["error", "cancelled"]) {
    const over = { ...retrying, state, error: "secret", error_type: "KeyError" };
    assert.deepEqual(display.withoutErrorDetail(over), { state, message: "", error: null, error_type: null });
  }
  assert.equal(display.withoutErrorDetail({ ...retrying, state: "running", message: "Row 7" }).message, "Row 7");
});

test("a workflow that starts keeps the numbers of its tasks", () => {
  const details = { total: 3, completed: 0, failed: 0, running: 0 };
  const told = (id) => {
    const event = (data) => ({ event_type: "status", operation_id: id, timestamp: 1, run: "r", data });
    const before = { ...reduce(null, event({ status: "queued", message: "", details: {} })), run: "", details };
    return reduce(before, event({ status: "started", message: "", details: {} })).details;
  };
  assert.deepEqual(told("workflow:c"), details);
  assert.deepEqual(told("c"), {});
});

test("large groups are folded until they are unfolded", async () => {
  const folder = "../../celery_wsprogress/static/celery_wsprogress";
  const { WorkflowTree } = await import(`${folder}/client/workflow_tree.js`);
  const { Folding, rowsOf } = await import(`${folder}/element/step_rows.js`);
  const tree = new WorkflowTree();
  const task = (index, parent) => ({ index, parent, kind: "task", state: "waiting", operation_id: `t${index}` });
  const members = Array.from({ length: 30 }, (_, at) => task(at + 2, 1));
  const nodes = [
    { index: 0, parent: null, kind: "chain", state: "waiting" },
    { index: 1, parent: 0, kind: "group", state: "waiting" },
    ...members,
    task(32, 0),
  ];
  tree.update({ total: 31, nodes });
  const folding = new Folding();
  const shown = () => rowsOf(tree, folding).map(({ node, level }) => [node.kind, level]);
  assert.deepEqual(shown(), [["group", 1], ["task", 1]]);
  folding.set(tree.root.children[0].children[0], true);
  assert.equal(shown().length, 32);
  assert.deepEqual(shown()[1], ["task", 2]);
  const [first] = rowsOf(tree, folding);
  assert.deepEqual([first.position, first.size, first.parent], [1, 2, null]);
});

/** A stream that has taken chunks: each as [run, index, chunk], and perhaps whether it closes. */
function streamOf(...chunks) {
  const stream = new StreamText("answer");
  for (const [run, index, chunk, closed] of chunks) {
    stream.add({ event_type: "chunk", run, data: { stream: "answer", index, chunk, closed } });
  }
  return stream;
}

test("a stream is the text of its chunks, each once", () => {
  const { text, chunks, closed, missing } = streamOf(
    ["a", 0, "To be "],
    ["a", 1, { n: 1 }],
    ["a", 0, "To be "],
    ["a", 2, "or not"],
    ["a", 3, null, true],
  );
  assert.equal(text, 'To be {"n":1}\nor not');
  assert.deepEqual(chunks, ["To be ", { n: 1 }, "or not"]);
  assert.deepEqual([closed, missing], [true, false]);
});

test("nothing else is in a stream", () => {
  const stream = streamOf();
  stream.add({ event_type: "log", run: "a", data: { message: "line" } });
  stream.add({ event_type: "chunk", run: "a", data: { stream: "notes", index: 0, chunk: "no" } });
  assert.deepEqual([stream.text, stream.runs], ["", 0]);
});

test("a mark stands where chunks of a stream are missing", () => {
  const { text, missing } = streamOf(["a", 7, "be "], ["a", 8, "or "], ["a", 10, "to"]);
  assert.deepEqual([text, missing], ["…be or …to", true]);
});

test("a stream begins anew with another run, and what is repeated of the earlier one is not in it", () => {
  const stream = streamOf(["a", 5, "old"], ["b", 0, "new "], ["a", 6, "old"], ["b", 1, "one"]);
  const { text, chunks, runs, missing } = stream;
  assert.deepEqual([text, chunks, runs, missing], ["new one", ["new ", "one"], 2, false]);
});
