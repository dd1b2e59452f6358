/**
 * The wire protocol, as far as it is rules: what a close code says, how commands are put, which
 * operations a selector means, and the errors that a sidecar and a task can answer with.
 *
 * Pure.
 *
 * @typedef {"queued" | "received" | "running" | "retrying" | "replaced" | "completed" | "error" | "cancelled"} State
 *
 * @typedef {object} Operation What is known of an operation: a snapshot, as the protocol has it.
 * @property {string} operation_id The Celery task id.
 * @property {string} operation_type The task's name.
 * @property {number} started_at Epoch seconds.
 * @property {string} status The last status word; `completed` or `error` from the end on.
 * @property {number} progress 0 to 1.
 * @property {Record<string, unknown>} metadata
 * @property {number} event_count
 * @property {State} state Where it is in its life.
 * @property {string} message
 * @property {Record<string, unknown>} details
 * @property {number | null} current
 * @property {number | null} total
 * @property {string | null} unit
 * @property {number | null} rate Units a second.
 * @property {number | null} eta Seconds until the end, at that rate.
 * @property {boolean} indeterminate The total is unknown.
 * @property {number | null} queued_at
 * @property {number | null} received_at
 * @property {number | null} finished_at
 * @property {number | null} duration Seconds from start to end.
 * @property {number | null} attempt Counted from 1.
 * @property {string | null} worker
 * @property {string | null} queue
 * @property {string | null} parent_id
 * @property {string | null} root_id
 * @property {string | null} group_id
 * @property {string[]} tags
 * @property {string | null} error
 * @property {string | null} error_type
 * @property {boolean} ignored The task raised `Ignore`: `completed`, and `progress` stays where it was.
 * @property {string} last_event_id
 * @property {string} run
 *
 * @typedef {object} ProgressEvent Something that happened to an operation.
 * @property {string} event_type `status`, `progress`, `log`, `result`, `completed`, `error`, …
 * @property {string} operation_id
 * @property {number} timestamp Epoch seconds, taken where it happened.
 * @property {Record<string, any>} data
 * @property {string} [event_id] Where it stands in the log.
 * @property {string} [run]
 * @property {Operation} [operation] With `snapshot`: how the operation stands.
 * @property {number | null} [missed] With `snapshot`: events that were not sent and will not be.
 *
 * @typedef {Record<string, any>} Frame Anything that the sidecar sends.
 *
 * @typedef {{ operation_type?: string, tag?: string, group_id?: string, root_id?: string }} Selector
 *   Every operation of a kind: one of these fields, of which `operation_type` is a glob. None of
 *   them is every operation.
 */

import { LOST } from "./close_codes.js";

/** Characters a list of ids may take in a command. */
const MAX_IDS_LENGTH = 32_000;

/** The sidecar does not take a command. */
export class CommandError extends Error {
  name = "CommandError";

  /**
   * @param {string} code A word: `forbidden`, `unauthorized`, …
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The operation ended badly. */
export class OperationError extends Error {
  name = "OperationError";

  /** @param {ProgressEvent} event Its `error`. */
  constructor(event) {
    super(event.data.error);
    this.errorType = /** @type {string} */ (event.data.error_type);
    this.cancelled = event.data.status === "cancelled";
    this.operationId = event.operation_id;
  }
}

/** The connection is over for good. */
export class ConnectionClosed extends Error {
  name = "ConnectionClosed";

  /**
   * @param {string} why
   * @param {number} [code] The close code.
   */
  constructor(why, code = LOST) {
    super(why);
    this.code = code;
  }
}

/**
 * Whether an event is the end of its operation.
 *
 * @param {{ event_type: string }} event
 */
export function isEnd(event) {
  return event.event_type === "completed" || event.event_type === "error";
}

/**
 * Whether an operation has reached its end.
 *
 * @param {{ state: State }} operation
 */
export function hasEnded({ state }) {
  return state === "completed" || state === "error" || state === "cancelled";
}

/**
 * The ids in lists that fit into a command, with a `since` for each.
 *
 * @param {Iterable<string>} ids
 * @returns {Generator<string[]>}
 */
export function* chunkIds(ids) {
  /** @type {string[]} */
  let some = [];
  let room = MAX_IDS_LENGTH;
  for (const one of ids) {
    // Twice the id, each character at its longest, and an event id of ordinary length.
    const size = 2 * JSON.stringify(one).replace(/[^ -~]/g, "\\u1234").length + 100;
    if (some.length && size > room) {
      yield some;
      [some, room] = [[], MAX_IDS_LENGTH];
    }
    some.push(one);
    room -= size;
  }
  if (some.length) yield some;
}
