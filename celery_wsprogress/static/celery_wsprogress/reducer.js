/**
 * The fold of an operation's events, as they are delivered, over what is known of it.
 *
 * The sidecar has decided already which events are news; so there is no table here, and what a
 * snapshot says that came before its own events is not undone by them: an event that is in it
 * already changes nothing, or is followed by the one that says the same again.
 *
 * Pure: each fold gives a new snapshot and leaves the old one as it is.
 */

import { hasEnded, isEnd } from "./protocol.js";

/** @import { Operation, ProgressEvent, State } from "./protocol.js" */

/** @type {Record<string, State>} */
const STATE_OF_STATUS = { queued: "queued", received: "received", retrying: "retrying" };

/** What the words of the life cycle say is the system's; what other words say is the task's. */
const LIFE_CYCLE = new Set(["queued", "received", "started", "retrying"]);

/** What a run that begins does not take over from the one before. */
const ANEW = Object.freeze({
  progress: 0,
  message: "",
  current: null,
  total: null,
  unit: null,
  rate: null,
  eta: null,
  indeterminate: false,
  finished_at: null,
  duration: null,
  error: null,
  error_type: null,
  ignored: false,
});

/**
 * Nothing is known of it but that it was heard of.
 *
 * @param {string} id
 * @param {number} at Epoch seconds.
 * @returns {Operation}
 */
export function unknown(id, at) {
  return {
    ...ANEW,
    operation_id: id,
    operation_type: "",
    started_at: at,
    status: "queued",
    metadata: {},
    event_count: 0,
    state: "queued",
    details: {},
    queued_at: null,
    received_at: null,
    attempt: null,
    worker: null,
    queue: null,
    parent_id: null,
    root_id: null,
    group_id: null,
    tags: [],
    last_event_id: "",
    run: "",
  };
}

/**
 * What is known of an operation after one more event.
 *
 * @param {Operation | null} before What was known; null where nothing was.
 * @param {ProgressEvent} event
 * @returns {Operation}
 */
export function reduce(before, event) {
  if (event.event_type === "snapshot") return /** @type {Operation} */ (event.operation);
  const operation = { ...(before ?? unknown(event.operation_id, event.timestamp)) };
  operation.event_count += 1;
  operation.last_event_id = event.event_id ?? operation.last_event_id;
  if (isOver(operation, event)) return operation;
  const overtaken = !advance(operation, event, before === null);
  if (event.event_type === "status") learnStatus(operation, event, overtaken);
  else if (event.event_type === "progress" && !overtaken) learnProgress(operation, event);
  else if (event.event_type === "completed") learnEnd(operation, event, completionOf(event));
  else if (event.event_type === "error") learnEnd(operation, event, errorOf(event));
  return operation;
}

/**
 * A task that raised `Ignore` left before the end of its progress.
 *
 * @param {ProgressEvent} event
 * @returns {Partial<Operation>}
 */
function completionOf({ data }) {
  return data.ignored ? { ignored: true } : { progress: 1 };
}

/**
 * Whether the event is of a run that has said its last word.
 *
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function isOver(operation, event) {
  if (event.event_type === "status" || event.run !== operation.run) return false;
  // A run that is to be tried again may yet be known to have ended.
  return hasEnded(operation) || (operation.state === "retrying" && !isEnd(event));
}

/**
 * Bring the operation into the state, and to the run, that the event shows.
 *
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} first Nothing was known before.
 * @returns {boolean} Whether the event is of the current run and takes it forward.
 */
function advance(operation, event, first) {
  const { event_type: type, data, run = "" } = event;
  const word = type === "status" ? data.status : "";
  if (word === "queued") return first || operation.run === "";
  const other = operation.run !== "" && operation.run !== run;
  // Lines are delivered also of a run that another one overtook.
  if (other && (word === "received" || !takesOver(operation, event))) return false;
  const state = stateAfter(event);
  if (!other && !isForward(operation, state, event, first)) return false;
  const begins = state === "running" && (other || operation.state !== "running");
  operation.run = run;
  operation.state = state;
  if (begins) begin(operation, event, !first && !other);
  return true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function takesOver(operation, event) {
  if (event.event_type === "status") return event.data.status === "started" || !hasEnded(operation);
  const says = event.event_type === "log" || event.event_type === "result";
  return !says && event.event_type !== "chunk" && !hasEnded(operation);
}

/**
 * @param {ProgressEvent} event
 * @returns {State}
 */
function stateAfter({ event_type: type, data }) {
  if (type === "completed") return "completed";
  if (type === "error") return data.status === "cancelled" ? "cancelled" : "error";
  return (type === "status" && STATE_OF_STATUS[data.status]) || "running";
}

/**
 * Whether an event of the current run takes it forward; else the snapshot was further already.
 *
 * @param {Operation} operation
 * @param {State} state Which the event shows.
 * @param {ProgressEvent} event
 * @param {boolean} first
 */
function isForward(operation, state, event, first) {
  if (first) return true;
  const started = event.event_type === "status" && event.data.status === "started";
  if (operation.state === "queued") return true;
  if (operation.state === "received") return state !== "received";
  if (operation.state === "running") return state !== "received" && !started;
  // A run that was given up as lost speaks again.
  return hasEnded(operation) && started && event.data.details?.resumed === true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} same The run is the one that was known.
 */
function begin(operation, event, same) {
  if (same && event.data.details?.resumed === true) {
    const { error, error_type, finished_at, duration, ignored } = ANEW;
    Object.assign(operation, { error, error_type, finished_at, duration, ignored });
    return;
  }
  Object.assign(operation, ANEW, { details: {}, status: "running" });
  if (event.event_type === "status") operation.started_at = event.timestamp;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} overtaken
 */
function learnStatus(operation, { data, timestamp }, overtaken) {
  const word = data.status;
  if (word === "queued") operation.queued_at ??= timestamp;
  if (word === "received") operation.received_at ??= timestamp;
  const late = overtaken || word === "queued" || word === "received";
  learnIdentity(operation, data, late);
  if (overtaken) return;
  operation.status = word === "started" ? "running" : word;
  // The sidecar says it, of a run that says nothing.
  if (word === "stalled" && !data.message) return;
  operation.attempt = data.attempt ?? operation.attempt;
  if (word === "retrying" || !LIFE_CYCLE.has(word)) {
    operation.message = data.message;
    operation.details = data.details;
  }
}

/**
 * Take from a status what holds in whatever order it comes.
 *
 * @param {Operation} operation
 * @param {Record<string, any>} data
 * @param {boolean} late What it says was said before what is known already.
 */
function learnIdentity(operation, data, late) {
  const { metadata } = operation;
  operation.metadata = late ? { ...data.metadata, ...metadata } : { ...metadata, ...data.metadata };
  operation.operation_type = data.operation_type || operation.operation_type;
  if (data.tags?.length) operation.tags = data.tags;
  operation.worker = data.worker || operation.worker;
  operation.queue = data.queue || operation.queue;
  operation.parent_id = data.parent_id || operation.parent_id;
  operation.root_id = data.root_id || operation.root_id;
  operation.group_id = data.group_id || operation.group_id;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function learnProgress(operation, { data }) {
  operation.progress = data.progress;
  operation.message = data.message;
  operation.details = data.details;
  operation.current = data.current ?? null;
  operation.total = data.total ?? null;
  operation.unit = data.unit ?? null;
  operation.rate = data.rate ?? null;
  operation.eta = data.eta ?? null;
  operation.indeterminate = data.indeterminate === true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {Partial<Operation>} more
 */
function learnEnd(operation, { event_type: type, data, timestamp }, more) {
  operation.status = type;
  operation.finished_at = timestamp;
  operation.duration = data.duration ?? null;
  operation.rate = operation.eta = null;
  operation.indeterminate = false;
  operation.attempt = data.attempt ?? operation.attempt;
  Object.assign(operation, more);
}

/** @param {ProgressEvent} event */
function errorOf({ data }) {
  return { error: data.error, error_type: data.error_type };
}
