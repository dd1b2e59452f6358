/**
 * The fold of delivered events over the snapshot of an operation.
 *
 * The sidecar has applied the transition table (`operations/states.py`) already, so there is none
 * here. Events may be replayed over a snapshot that includes them: each then changes nothing, or a
 * later one restores the value.
 *
 * Pure: each fold returns a new snapshot and leaves the old one unchanged.
 */

import { mergeMetadata } from "./metadata.js";
import { BEFORE_START, hasEnded, isEnd, isWorkflowOperation } from "./protocol.js";

/** @import { EventOf } from "./events.js" */
/** @import { Operation, ProgressEvent, State } from "./protocol.js" */

/** States in which the current run is over and another run follows. */
const FOLLOWED_STATES = ["retrying", "replaced"];

/** Status words of a worker that has received a message. */
const RECEIPTS = ["scheduled", "received"];

/** Status words that are also states. */
const STATUS_STATES = [...BEFORE_START, ...FOLLOWED_STATES];

/** Status words whose events carry no message. */
const STATUSES_WITHOUT_MESSAGE = [...BEFORE_START, "started", "replaced"];

/** Fields that each progress event sets or clears. */
const PROGRESS_FIELDS = "current total unit rate eta";

/** Fields of an operation that waits or has ended. */
const OTHER_FIELDS = "finished_at duration error error_type starts_at expires_at";

/** The progress of a run before its first progress event. */
const RUN_DEFAULTS = {
  progress: 0,
  message: "",
  indeterminate: false,
  ...nulls(PROGRESS_FIELDS),
};

/** The same fields, of an operation that runs. */
const OTHER_DEFAULTS = {
  ignored: false,
  ...nulls(OTHER_FIELDS),
};

/**
 * Return the snapshot of an operation without events.
 *
 * @param {string} id
 * @param {number} at Epoch seconds.
 * @returns {Operation}
 */
export function emptyOperation(id, at) {
  return {
    ...RUN_DEFAULTS,
    ...OTHER_DEFAULTS,
    operation_id: id,
    operation_type: "",
    started_at: at,
    status: "queued",
    metadata: {},
    event_count: 0,
    state: "queued",
    details: {},
    ...nulls("queued_at received_at attempt max_attempts worker queue parent_id root_id group_id"),
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
 * Return the snapshot of an operation after one more event.
 *
 * @param {Operation | null} before The snapshot; null for an unknown operation.
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
 * Return whether the event is of a run that has ended, and changes nothing.
 *
 * @param {Operation} operation
 * @param {ProgressEvent} event
 */
function isAfterEnd(operation, event) {
  if (event.event_type === "status" || event.run !== operation.run) return false;
  // The end of a run that is retried or replaced may still follow.
  return hasEnded(operation) || (FOLLOWED_STATES.includes(operation.state) && !isEnd(event));
}

/**
 * Set the state and the run that the event shows.
 *
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} first The operation was unknown before.
 * @returns {boolean} Whether the event is of the current run and not behind its state.
 */
function advance(operation, event, first) {
  const { run = "" } = event;
  const word = statusIn(event);
  if (isPublished(event)) {
    if (!first && operation.run) return false;
    operation.state = /** @type {State} */ (word);
    return true;
  }
  const other = operation.run !== "" && operation.run !== run;
  // The sidecar also delivers log lines of a run that was replaced.
  if (other && (RECEIPTS.includes(word) || !replacesRun(operation, event))) return false;
  const state = stateFrom(event);
  if (!other && !isForward(operation, state, event, first)) return false;
  const begins = state === "running" && (other || operation.state !== "running");
  if (begins) startRun(operation, event, !first && !other);
  operation.run = run;
  operation.state = state;
  return true;
}

/**
 * Return whether a status is of the caller: no worker has said that it has the message.
 *
 * @param {ProgressEvent} event
 */
function isPublished(event) {
  const word = statusIn(event);
  return word === "queued" || (word === "scheduled" && !event.run);
}

/**
 * Return the status word of an event; empty if it is no status event.
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
 * Return whether an event of the current run is not behind the snapshot.
 *
 * @param {Operation} operation
 * @param {State} state The state that the event shows.
 * @param {ProgressEvent} event
 * @param {boolean} first
 */
function isForward(operation, state, event, first) {
  if (first) return true;
  const started = statusIn(event) === "started";
  if (operation.state === "queued" || operation.state === "scheduled") return true;
  if (operation.state === "received") return !RECEIPTS.includes(state);
  if (operation.state === "running") return !RECEIPTS.includes(state) && !started;
  // A retried or replaced run can still end; a run that was taken for lost can resume.
  if (FOLLOWED_STATES.includes(operation.state) && isEnd(event)) return true;
  return started && /** @type {any} */ (event.data).details?.resumed === true;
}

/**
 * @param {Operation} operation
 * @param {ProgressEvent} event
 * @param {boolean} same The run was known before.
 */
function startRun(operation, event, same) {
  Object.assign(operation, OTHER_DEFAULTS);
  if (same && /** @type {any} */ (event.data).details?.resumed === true) return;
  operation.status = "running";
  // A replacing run continues at the progress of the run before.
  if (operation.state !== "replaced") {
    // The numbers of the tasks of a workflow hold before and behind its start.
    const keeps = isWorkflowOperation(operation.operation_id);
    Object.assign(operation, RUN_DEFAULTS, keeps ? {} : { details: {} });
  }
  if (event.event_type === "status") operation.started_at = event.timestamp;
}

/**
 * @param {Operation} operation
 * @param {EventOf<"status">} event
 * @param {boolean} overtaken
 */
function applyStatus(operation, event, overtaken) {
  const { data } = event;
  const word = data.status;
  const early = BEFORE_START.includes(word);
  if (early) operation[isPublished(event) ? "queued_at" : "received_at"] ??= event.timestamp;
  applyIdentity(operation, data, overtaken || early);
  if (overtaken) return;
  operation.status = word === "started" ? "running" : word;
  // The sidecar itself sends this one, for a run without heartbeats.
  if (word === "stalled" && !data.message) return;
  copyFields(operation, data, "attempt");
  if (word === "retrying") operation.max_attempts = data.max_attempts ?? null;
  if (early || word === "retrying") {
    operation.starts_at = data.starts_at ?? null;
    operation.expires_at = data.expires_at ?? null;
  }
  if (!STATUSES_WITHOUT_MESSAGE.includes(word)) {
    operation.message = data.message;
    operation.details = data.details;
  }
}

/**
 * Apply the fields of a status event that hold in any order of arrival.
 *
 * @param {Operation} operation
 * @param {Record<string, any>} data
 * @param {boolean} late The event is older than the snapshot.
 */
function applyIdentity(operation, data, late) {
  if (Object.keys(data.metadata ?? {}).length) {
    operation.metadata = mergeMetadata(operation.metadata, data.metadata, late);
  }
  if (data.tags?.length) operation.tags = data.tags;
  copyFields(operation, data, "operation_type worker queue parent_id root_id group_id");
}

/**
 * Copy the fields of an event that are not empty.
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
 * @param {EventOf<"progress">} event
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
  operation.rate = operation.eta = operation.starts_at = operation.expires_at = null;
  operation.indeterminate = false;
  copyFields(operation, data, "attempt duration error error_type ignored");
  // A task that raised `Ignore` did not finish its progress.
  if (type === "completed" && !operation.ignored) operation.progress = 1;
}
