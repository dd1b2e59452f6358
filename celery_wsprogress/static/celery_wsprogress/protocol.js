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

export const EVERYTHING = "*";

export const LOST = 1006;
export const RESTARTING = 1012;

const FINAL = [1003, 1007, 1008, 1009];
const LONGEST_ASKED = 60;

/** Characters a list of ids may take in a command. */
const ROOM = 32_000;

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
 * Whether a client must not come back: it would be sent away for the same reason.
 *
 * @param {number} code
 */
export function isFinal(code) {
  return FINAL.includes(code) || (code >= 4500 && code < 5000);
}

/**
 * Seconds after which a restarting sidecar wants its clients back; null if it does not say.
 *
 * @param {number} code
 * @param {string} reason
 * @returns {number | null}
 */
export function restartDelay(code, reason) {
  if (code !== RESTARTING) return null;
  try {
    const asked = JSON.parse(reason).retry_ms;
    if (typeof asked !== "number") return null;
    return Math.min(Math.max(asked / 1000, 0), LONGEST_ASKED);
  } catch {
    return null;
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
 * What a command says to select: the selector's field, or that it is everything.
 *
 * @param {Selector} selector
 * @returns {Record<string, string>}
 */
export function fieldsOf(selector) {
  const fields = Object.entries(selector).filter(([, value]) => value != null);
  if (fields.length > 1) throw new TypeError("A selector has one field");
  const [[name, value]] = fields.length ? fields : [["operation_id", EVERYTHING]];
  return { [name]: value };
}

/**
 * Whether the fields of a selector mean this operation, as far as it is known.
 *
 * @param {Record<string, string>} fields
 * @param {Operation} operation
 */
export function selects(fields, operation) {
  const [[name, value]] = Object.entries(fields);
  if (name === "operation_type") return matches(value, operation.operation_type);
  if (name === "tag") return operation.tags.includes(value);
  const { [name]: own, operation_id: id } = /** @type {Record<string, unknown>} */ (operation);
  if (value === EVERYTHING && name === "operation_id") return true;
  return own === value || (name === "root_id" && id === value);
}

/**
 * Whether a text is as a glob says, as Python's `fnmatch` has it: all ways to read it at once, in
 * time that grows with the length of the one times that of the other.
 *
 * @param {string} glob
 * @param {string} text
 */
export function matches(glob, text) {
  const parts = glob.match(/\[!?\]?[^\]]*\]|[^]/gu) ?? [];
  /** How many of the parts may have been read. */
  let read = new Set([0]);
  let next = read;
  for (const character of [...text, ""]) {
    [read, next] = [next, new Set()];
    // What is added is walked over, too.
    for (const at of read) {
      if (parts[at] === "*") next.add(at), read.add(at + 1);
      else if (parts[at] && fits(parts[at], character)) next.add(at + 1);
    }
  }
  return read.has(parts.length);
}

/**
 * @param {string} part
 * @param {string} character
 */
function fits(part, character) {
  if (part === "?" || part === character) return true;
  if (part[0] !== "[" || part.length < 3) return false;
  const negated = part[1] === "!";
  const members = part.slice(negated ? 2 : 1, -1).matchAll(/([^])-([^])|[^]/gu);
  const found = [...members].some(
    ([one, first = one, last = one]) => first <= character && character <= last,
  );
  return found !== negated;
}

/**
 * The ids in lists that fit into a command, with a `since` for each.
 *
 * @param {Iterable<string>} ids
 * @returns {Generator<string[]>}
 */
export function* chunks(ids) {
  /** @type {string[]} */
  let some = [];
  let room = ROOM;
  for (const one of ids) {
    // Twice the id, each character at its longest, and an event id of ordinary length.
    const size = 2 * JSON.stringify(one).replace(/[^ -~]/g, "\\u1234").length + 100;
    if (some.length && size > room) {
      yield some;
      [some, room] = [[], ROOM];
    }
    some.push(one);
    room -= size;
  }
  if (some.length) yield some;
}
