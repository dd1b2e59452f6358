/**
 * Operations that stand for several tasks: a workflow as the sidecar shows it, and the members of a
 * group, put together here.
 *
 * Pure.
 */

import { hasEnded, hasNotBegun } from "../client/protocol.js";
import { emptyOperation } from "../client/reducer.js";

/** @import { Operation, State, WorkflowCounts } from "../client/protocol.js" */

/**
 * Return the operation of a workflow as the bar shows it: the number of its tasks that are over, and
 * the name of the task that reported last before its message.
 *
 * @param {Operation} operation
 * @param {{ workflow: string }} words
 * @returns {Operation}
 */
export function describeWorkflow(operation, words) {
  const { details, message, operation_type: type } = operation;
  const { total, completed, failed, step } = /** @type {Partial<WorkflowCounts>} */ (details);
  // A task that is no part of a workflow is shown as what it is.
  if (total === undefined || total < 2) return { ...operation, operation_type: type || step || "" };
  return {
    ...operation,
    operation_type: type.startsWith("celery.") || !type ? words.workflow : type,
    current: (completed ?? 0) + (failed ?? 0),
    total,
    message: hasEnded(operation) ? "" : [step, message].filter(Boolean).join(": "),
  };
}

/**
 * Return one snapshot for all members: mean progress, number of ended members, first error.
 *
 * @param {string} id
 * @param {Iterable<Operation>} members
 * @param {number} [total] How many there are, if some are not known yet.
 * @returns {Operation | null} Null without members.
 */
export function aggregate(id, members, total) {
  const all = [...members];
  if (!all.length) return null;
  const count = total ?? all.length;
  const ended = all.filter(hasEnded);
  const bad = all.find(({ state }) => state === "error" || state === "cancelled");
  const scheduled = all.every(({ state }) => state === "scheduled");
  const over = ended.length === count;
  const state = over ? (bad?.state ?? "completed") : stateLabel(all);
  const started = Math.min(...all.map((one) => one.started_at));
  const finished = over ? Math.max(...ended.map((one) => one.finished_at ?? one.started_at)) : null;
  const sum = all.reduce((found, one) => found + (hasEnded(one) ? 1 : one.progress), 0);
  return {
    ...emptyOperation(id, started),
    state,
    status: state,
    progress: sum / count,
    current: ended.length,
    total: count,
    finished_at: finished,
    duration: finished === null ? null : finished - started,
    // The first of them starts then; null counts as 0, but all have one.
    starts_at: scheduled ? Math.min(...all.map((one) => Number(one.starts_at))) : null,
    error: bad?.error ?? null,
    error_type: bad?.error_type ?? null,
  };
}

/**
 * @param {Operation[]} members
 * @returns {State}
 */
function stateLabel(members) {
  if (members.every(({ state }) => state === "scheduled")) return "scheduled";
  return members.every(hasNotBegun) ? "queued" : "running";
}
