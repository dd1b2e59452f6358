/**
 * The steps of an operation, with the time between them.
 *
 * Pure.
 */

import { hasEnded, hasNotBegun } from "../../client/protocol.js";
import { durationOf, momentOf } from "./format.js";

/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */
/** @import { Tone } from "./format.js" */

/** Maximum number of steps; the newest are shown. */
const MAX_STEPS = 100;

/**
 * @typedef {object} Step
 * @property {string} word
 * @property {number} at Epoch seconds.
 * @property {string} note Further details.
 * @property {Tone} tone
 * @property {number | null} after Seconds since the step before.
 */

/**
 * Return the step of an event; null if it is none.
 *
 * @param {ProgressEvent} event
 * @returns {Step | null}
 */
export function eventStep({ event_type: type, data, timestamp: at }) {
  const step = (/** @type {string} */ word, /** @type {Tone} */ tone, /** @type {string} */ note) =>
    ({ word, at, note, tone, after: null });
  if (type === "completed") {
    const [word, tone] = doneAs(data.ignored);
    return step(word, tone, tookOf(data));
  }
  if (type === "error") {
    const cancelled = data.status === "cancelled";
    const note = [`${data.error_type}: ${data.error}`, tookOf(data)].filter(Boolean).join("\n");
    return step(cancelled ? "cancelled" : "failed", cancelled ? "warning" : "failure", note);
  }
  return type === "status" ? step(data.status, statusTone(data.status), noteOf(data)) : null;
}

/**
 * Return steps in order, with those that only the snapshot shows.
 *
 * @param {Step[]} steps
 * @param {Operation | null} operation
 * @returns {Step[]}
 */
export function mergeSteps(steps, operation) {
  const known = operation ? stepsOfSnapshot(steps, operation) : [];
  const all = known.length ? [...known, ...steps].sort((one, other) => one.at - other.at) : steps;
  const shown = all.slice(-MAX_STEPS);
  return shown.map((step, index) => {
    const before = shown[index - 1];
    return { ...step, after: before ? Math.max(0, step.at - before.at) : null };
  });
}

/**
 * @param {Step[]} steps
 * @param {Operation} operation
 * @returns {Step[]}
 */
function stepsOfSnapshot(steps, operation) {
  const { queued_at: queued, received_at: received, started_at: started } = operation;
  /** @type {[string, number | null, Tone][]} */
  const known = [
    ["queued", queued, "muted"],
    ["received", received, "muted"],
    ["started", hasNotBegun(operation) ? null : started, "accent"],
  ];
  if (hasEnded(operation)) known.push(endOf(operation));
  // `scheduled` stands for `queued` and for `received`, at their time.
  const shown = new Set(steps.flatMap((one) => [one.word, one.at]));
  return known
    .filter(([word, at]) => at !== null && !shown.has(word) && !shown.has(at))
    .map(([word, at, tone]) => ({ word, at: Number(at), note: "", tone, after: null }));
}

/**
 * @param {Operation} operation
 * @returns {[string, number | null, Tone]}
 */
function endOf({ state, ignored, finished_at: at }) {
  if (state === "completed") {
    const [word, tone] = doneAs(ignored);
    return [word, at, tone];
  }
  return state === "error" ? ["failed", at, "failure"] : ["cancelled", at, "warning"];
}

/**
 * @param {boolean | undefined} ignored The task raised `Ignore`.
 * @returns {[string, Tone]}
 */
function doneAs(ignored) {
  return ignored ? ["ignored", "muted"] : ["completed", "success"];
}

/** @param {Record<string, any>} data */
function tookOf({ duration, attempt }) {
  const took = duration === undefined ? "" : `took ${durationOf(duration)}`;
  return attempt > 1 ? [took, `at the attempt ${attempt}`].filter(Boolean).join(", ") : took;
}

/** @param {Record<string, any>} data */
function noteOf({ status, message, worker, queue, attempt, max_attempts: limit, ...data }) {
  const { retry_in: wait, starts_at: start, expires_at: expiry } = data;
  const notes = [message];
  if (["queued", "scheduled"].includes(status) && !worker && queue) notes.push(`in ${queue}`);
  if (status === "started" && attempt > 1) notes.push(`attempt ${attempt}`);
  if (status === "retrying" && limit !== undefined) notes.push(`attempt ${attempt} of ${limit}`);
  if (["started", "received", "scheduled"].includes(status) && worker) notes.push(`on ${worker}`);
  if (wait !== undefined) notes.push(`again in ${durationOf(wait)}`);
  if (start !== undefined && wait === undefined) notes.push(`starts at ${momentOf(start)}`);
  if (expiry !== undefined) notes.push(`expires at ${momentOf(expiry)}`);
  return notes.filter(Boolean).join(", ");
}

/**
 * @param {string} word
 * @returns {Tone}
 */
function statusTone(word) {
  if (["queued", "scheduled", "received"].includes(word)) return "muted";
  return word === "retrying" || word === "stalled" ? "warning" : "accent";
}
