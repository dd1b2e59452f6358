/**
 * The wire protocol: the types of frames and snapshots, the errors, and the size of commands.
 * Close codes stand in `close_codes.js`, selectors in `selectors.js`.
 *
 * Pure.
 *
 * @typedef {"queued" | "scheduled" | "received" | "running" | "retrying" | "replaced" | "completed" | "error" | "cancelled"} State
 *
 * @typedef {object} Operation The snapshot of an operation.
 * @property {string} operation_id The Celery task id.
 * @property {string} operation_type The task's name.
 * @property {number} started_at Epoch seconds.
 * @property {string} status The last status word; `completed` or `error` from the end on.
 * @property {number} progress 0 to 1.
 * @property {Record<string, unknown>} metadata
 * @property {number} event_count
 * @property {State} state The state of the life cycle.
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
 * @property {number | null} starts_at While it waits for its time or its next attempt: not before
 *   this time, epoch seconds by the clock of the sidecar.
 * @property {number | null} expires_at While it waits: it does not start any more from then on.
 * @property {number | null} attempt Counted from 1.
 * @property {number | null} max_attempts As its last retry said; null if unknown or unlimited.
 * @property {string | null} worker
 * @property {string | null} queue
 * @property {string | null} parent_id
 * @property {string | null} root_id
 * @property {string | null} group_id
 * @property {string[]} tags
 * @property {string | null} error
 * @property {string | null} error_type
 * @property {boolean} ignored The task raised `Ignore`: `completed`, and `progress` stays where it
 *   was.
 * @property {string} last_event_id
 * @property {string} run
 * @property {string[]} [workflow_ids] Of a step: the workflows that it is in. Only in snapshots that
 *   the sidecar makes.
 * @property {WorkflowCounts & { workflow_id: string }} [workflow] Of the last step of a workflow,
 *   likewise: how far that is.
 *
 * @typedef {object} WorkflowCounts Numbers of the tasks of a workflow; in the `details` of its
 *   operation.
 * @property {number} total
 * @property {number} completed
 * @property {number} failed Failed or cancelled.
 * @property {number} running
 * @property {string} [step] The name of the task that reported last.
 *
 * @typedef {"waiting" | "running" | "completed" | "error" | "cancelled" | "skipped"} StepState The
 *   state of a node of a workflow. What is skipped never runs, because a task before it failed.
 *
 * @typedef {object} TreeNode A task of a workflow, or a chain or a group of its tasks.
 * @property {number} index
 * @property {number | null} parent The index of the node that contains it, or of the task that
 *   started it.
 * @property {"chain" | "group" | "task"} kind
 * @property {StepState} state
 * @property {string} [operation_id] Of a task.
 * @property {string} [operation_type] Of a task: its name.
 * @property {number} [progress] Of a task: 0 to 1.
 * @property {number} [weight] Of a task: what it counts for in the progress of the workflow.
 * @property {string | null} [group_id] Of a group.
 *
 * @typedef {import("./events.js").ProgressEvent} ProgressEvent An event of an operation.
 *
 * @typedef {object} CancelOptions
 * @property {boolean} [terminate] End the process of a task that runs, where the pool can.
 * @property {string} [reason] Why, up to 200 characters; all who watch see it.
 *
 * @typedef {object} CancelReply
 * @property {"accepted" | "ended"} status `accepted` once the workers were told; `ended` if it is
 *   too late.
 * @property {State} [state] Of an operation that has ended.
 *
 * @typedef {Record<string, any>} Frame Anything that the sidecar sends.
 *
 * @typedef {{ operation_type?: string, tag?: string, group_id?: string, root_id?: string, steps_of?: string }} Selector
 *   One of these fields; `operation_type` is a glob, `steps_of` the id of a workflow. Without a
 *   field: every operation.
 */

import { LOST } from "./close_codes.js";

/** @import { EventOf } from "./events.js" */

/** Maximum characters of a list of ids in a command. */
const MAX_IDS_LENGTH = 32_000;

/**
 * Return the id of the operation that shows a workflow.
 *
 * @param {string} id The id that its caller holds.
 */
export function workflowOperationId(id) {
  return `workflow:${id}`;
}

/**
 * Return whether an operation shows a workflow.
 *
 * @param {string} operationId
 */
export function isWorkflowOperation(operationId) {
  return operationId.startsWith(workflowOperationId(""));
}

/** The sidecar rejected a command. */
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

/** The operation failed or was cancelled. */
export class OperationError extends Error {
  name = "OperationError";

  /** @param {EventOf<"error">} event */
  constructor(event) {
    super(event.data.error);
    this.errorType = event.data.error_type;
    this.cancelled = event.data.status === "cancelled";
    this.operationId = event.operation_id;
  }
}

/** The connection is closed for good. */
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
 * Return whether an event is the end of its operation.
 *
 * @param {{ event_type: string }} event
 */
export function isEnd(event) {
  return event.event_type === "completed" || event.event_type === "error";
}

/** States before the start, as the status words have them. @type {string[]} */
export const BEFORE_START = ["queued", "scheduled", "received"];

/**
 * Return whether the current message of an operation waits for its start, or for its time.
 *
 * @param {{ state: State }} operation
 */
export function hasNotBegun({ state }) {
  return BEFORE_START.includes(state);
}

/**
 * Return whether an operation has ended.
 *
 * @param {{ state: State }} operation
 */
export function hasEnded({ state }) {
  return state === "completed" || state === "error" || state === "cancelled";
}

/**
 * Split ids into lists that fit into a command with a `since` for each id.
 *
 * @param {Iterable<string>} ids
 * @returns {Generator<string[]>}
 */
export function* chunkIds(ids) {
  /** @type {string[]} */
  let some = [];
  let room = MAX_IDS_LENGTH;
  for (const one of ids) {
    // The id stands twice, in `operation_ids` and in `since`; the rest is an event id. Characters
    // outside ASCII are counted as escapes, which is more than they can take.
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
