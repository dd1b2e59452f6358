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

/** States in which the current run is over and another one follows. */
const FOLLOWED_STATES = ["retrying", "replaced"];

/** Words that are states, too. */
const STATUS_STATES = ["queued", "received", ...FOLLOWED_STATES];

/** Words that come without a message. */
const STATUSES_WITHOUT_MESSAGE = ["queued", "received", "started", "replaced"];

/** What a progress says, or is not known any more. */
const PROGRESS_FIELDS = "current total unit rate eta";

/** What an end says. */
const END_FIELDS = "finished_at duration error error_type";

/** How far a run is that has not said so. */
const RUN_DEFAULTS = {
  progress: 0,
  message: "",
  indeterminate: false,
  ...nulls(PROGRESS_FIELDS),
};

/** Of a run that has not ended. */
const END_DEFAULTS = {
  ignored: false,
  ...nulls(END_FIELDS),
};

/**
 * Nothing is known of it but that it was heard of.
 *
 * @param {string} id
 * @param {number} at Epoch seconds.
 * @returns {Operation}
 */
export function emptyOperation(id, at) {
  return {
    ...RUN_DEFAULTS,
    ...END_DEFAULTS,
    operation_id: id,
    operation_type: "",
    started_at: at,
    status: "queued",
    metadata: {},
    event_count: 0,
    state: "queued",
    details: {},
    ...nulls("queued_at received_at attempt worker queue parent_id root_id group_id"),
    tags: [],
    last_event_id: "",
    run: "",
  };
}

/**
 * @param {string} names
 * @returns {any}
 */
function nulls(names) {
  return Object.fromEntries(names.split(" ").map((name) => [name, null]));
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
  const operation = { ...(before ?? emptyOperation(event.operation_id, event.timestamp)) };
  operation.event_count += 1;
  operation.last_event_id = event.event_id ?? operation.last_event_id;
  if (isAfterEnd(operation, event)) return operation;
  const overtaken = !advance(operation, event, before === null);
  if (event.event_type === "status") applyStatus(operation, event, overtaken);
  else if (event.event_type === "progress" && !overtaken) applyProgress(operation, event);
  else if (isEnd(event)) applyEnd(operation, event);
  return operation;
}

/**
 * Whether the event is of a run that has said its last word.
 *
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function isAfterEnd(operation, event) {
  if (event.event_type === "status" || event.run !== operation.run) return false;
  // A run that another one follows may yet be known to have ended.
  return hasEnded(operation) || (FOLLOWED_STATES.includes(operation.state) && !isEnd(event));
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
  const { run = "" } = event;
  const word = statusIn(event);
  if (word === "queued") return first || operation.run === "";
  const other = operation.run !== "" && operation.run !== run;
  // Lines are delivered also of a run that another one overtook.
  if (other && (word === "received" || !replacesRun(operation, event))) return false;
  const state = stateFrom(event);
  if (!other && !isForward(operation, state, event, first)) return false;
  const begins = state === "running" && (other || operation.state !== "running");
  if (begins) startRun(operation, event, !first && !other);
  operation.run = run;
  operation.state = state;
  return true;
}

/**
 * The word of a status; nothing for any other event.
 *
 * @param {ProgressEvent} event
 * @returns {string}
 */
function statusIn({ event_type: type, data }) {
  return type === "status" ? data.status : "";
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function replacesRun(operation, event) {
  const says = ["log", "result", "chunk"].includes(event.event_type);
  return statusIn(event) === "started" || (!says && !hasEnded(operation));
}

/**
 * @param {ProgressEvent} event
 * @returns {State}
 */
function stateFrom(event) {
  const { event_type: type, data } = event;
  if (type === "error" && data.status === "cancelled") return "cancelled";
  const word = isEnd(event) ? type : statusIn(event);
  return /** @type {State} */ (isEnd(event) || STATUS_STATES.includes(word) ? word : "running");
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
  const started = statusIn(event) === "started";
  if (operation.state === "queued") return true;
  if (operation.state === "received") return state !== "received";
  if (operation.state === "running") return state !== "received" && event.data.status !== "started";
  // It may yet be known to have ended, or fail in being replaced; and speak again.
  if (FOLLOWED_STATES.includes(operation.state) && isEnd(event)) return true;
  return started && event.data.details?.resumed === true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} same The run is the one that was known.
 */
function startRun(operation, event, same) {
  Object.assign(operation, END_DEFAULTS);
  if (same && event.data.details?.resumed === true) return;
  operation.status = "running";
  // Who takes over the work of another run begins where that was.
  if (operation.state !== "replaced") Object.assign(operation, RUN_DEFAULTS, { details: {} });
  if (event.event_type === "status") operation.started_at = event.timestamp;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} overtaken
 */
function applyStatus(operation, { data, timestamp }, overtaken) {
  const word = data.status;
  const early = word === "queued" || word === "received";
  if (early) operation[word === "queued" ? "queued_at" : "received_at"] ??= timestamp;
  applyIdentity(operation, data, overtaken || early);
  if (overtaken) return;
  operation.status = word === "started" ? "running" : word;
  // The sidecar says it, of a run that says nothing.
  if (word === "stalled" && !data.message) return;
  copyFields(operation, data, "attempt");
  if (!STATUSES_WITHOUT_MESSAGE.includes(word)) {
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
function applyIdentity(operation, data, late) {
  const { metadata } = operation;
  operation.metadata = late ? { ...data.metadata, ...metadata } : { ...metadata, ...data.metadata };
  if (data.tags?.length) operation.tags = data.tags;
  copyFields(operation, data, "operation_type worker queue parent_id root_id group_id");
}

/**
 * Take those fields of an event that say something.
 *
 * @param {any} operation
 * @param {Record<string, any>} data
 * @param {string} names
 */
function copyFields(operation, data, names) {
  for (const name of names.split(" ")) {
    if (data[name] != null && data[name] !== "") operation[name] = data[name];
  }
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function applyProgress(operation, { data }) {
  operation.progress = data.progress;
  operation.message = data.message;
  operation.details = data.details;
  copyFields(Object.assign(operation, nulls(PROGRESS_FIELDS)), data, PROGRESS_FIELDS);
  operation.indeterminate = data.indeterminate === true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function applyEnd(operation, { event_type: type, data, timestamp }) {
  operation.status = type;
  operation.finished_at = timestamp;
  operation.rate = operation.eta = null;
  operation.indeterminate = false;
  copyFields(operation, data, "attempt duration error error_type ignored");
  // A task that raised `Ignore` left before the end of its progress.
  if (type === "completed" && !operation.ignored) operation.progress = 1;
}
