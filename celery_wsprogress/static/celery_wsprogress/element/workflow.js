/**
 * The members of a workflow as one operation.
 *
 * Pure.
 */

import { hasEnded, hasNotBegun } from "../client/protocol.js";
import { emptyOperation } from "../client/reducer.js";

/** @import { Operation, State } from "../client/protocol.js" */

/**
 * Return one snapshot for all members: mean progress, number of ended members, first error.
 *
 * @param {string} id
 * @param {Iterable<Operation>} members
 * @returns {Operation | null} Null without members.
 */
export function aggregate(id, members) {
  const all = [...members];
  if (!all.length) return null;
  const ended = all.filter(hasEnded);
  const bad = all.find(({ state }) => state === "error" || state === "cancelled");
  const scheduled = all.every(({ state }) => state === "scheduled");
  const over = ended.length === all.length;
  const state = over ? (bad?.state ?? "completed") : stateLabel(all);
  const started = Math.min(...all.map((one) => one.started_at));
  const finished = over ? Math.max(...ended.map((one) => one.finished_at ?? one.started_at)) : null;
  const sum = all.reduce((total, one) => total + (hasEnded(one) ? 1 : one.progress), 0);
  return {
    ...emptyOperation(id, started),
    state,
    status: state,
    progress: sum / all.length,
    current: ended.length,
    total: all.length,
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
