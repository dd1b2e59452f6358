/**
 * The texts of times, operations and events on the dashboard.
 *
 * Pure. Uses the words of the element where it has them.
 */

import { exactResult } from "../../client/exact_json.js";
import { hasEnded, hasNotBegun } from "../../client/protocol.js";
import { formatNumber, formatPercent, formatResult, formatStart, formatDuration, formatWait, WORDS } from "../../element/format.js";
import { isWorkflow, stepCount } from "./workflow_steps.js";

/** @import { ConnectionState, Loss } from "../../client/connection.js" */
/** @import { EventOf } from "../../client/events.js" */
/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */

/** @typedef {"accent" | "muted" | "success" | "failure" | "warning"} Tone */

/** The words of the element, where there is little room. */
const SHORT_WORDS = { ...WORDS, retriesIn: "retry in {}" };

/** Stands for a missing figure. */
export const NONE = "–";

/**
 * Return the colour of an operation.
 *
 * @param {Operation} operation
 * @returns {Tone}
 */
export function operationTone({ state, status }) {
  if (state === "completed") return "success";
  if (state === "error") return "failure";
  if (state === "cancelled" || state === "retrying" || status === "stalled") return "warning";
  return state === "running" || state === "replaced" ? "accent" : "muted";
}

/**
 * @param {Operation} operation
 * @param {number} now Epoch seconds.
 * @returns {string}
 */
export function stateLabel(operation, now) {
  return formatStart(operation, SHORT_WORDS, now);
}

/**
 * Return the number of the attempt, with the limit if it is known; empty if there was none.
 *
 * @param {Operation} operation
 */
export function attemptOf({ attempt, max_attempts: limit }) {
  if (attempt === null) return "";
  return limit == null ? String(attempt) : `${attempt} of ${limit}`;
}

/**
 * @typedef {object} Cells The texts of a row.
 * @property {string} state
 * @property {string} type
 * @property {string} id
 * @property {string} percent
 * @property {string} message
 * @property {string} rate
 * @property {string} left
 * @property {string} time
 * @property {string} started The time of day.
 * @property {string} worker
 * @property {string} attempt
 */

/**
 * @param {Operation} operation
 * @param {number} now Epoch seconds.
 * @returns {Cells}
 */
export function rowCells(operation, now) {
  const { rate, eta, unit, current, state } = operation;
  const runs = state === "running";
  const named = unit ? ` ${unit}` : "";
  const time = elapsed(operation, now);
  return {
    state: stateLabel(operation, now),
    type: operation.operation_type || operation.operation_id,
    id: operation.operation_id,
    percent: operation.indeterminate ? "" : formatPercent(operation.progress),
    message: messageOf(operation),
    rate: runs && rate !== null && current !== null ? `${formatNumber(rate)}${named}/s` : NONE,
    left: runs && eta !== null ? formatDuration(eta) : NONE,
    time: time === null ? NONE : formatDuration(time),
    started: clockOf(startOf(operation), now),
    worker: operation.worker ?? NONE,
    attempt: attemptOf(operation) || NONE,
  };
}

/**
 * Return the error of an operation, or its message, or its units.
 *
 * @param {Operation} operation
 */
export function messageOf(operation) {
  const { error, error_type: type, message, current, total, unit, details } = operation;
  if (isWorkflow(operation)) {
    const { completed, failed, step } = /** @type {Record<string, any>} */ (details);
    const count = `${formatNumber(completed + failed)} of ${formatNumber(stepCount(operation))} steps`;
    const said = error ?? (hasEnded(operation) ? "" : [step, message].filter(Boolean).join(": "));
    return said ? `${count} · ${said}` : count;
  }
  if (error !== null) return type ? `${type}: ${error}` : error;
  if (message || current === null) return message;
  const of = total === null ? "" : ` of ${formatNumber(total)}`;
  return `${formatNumber(current)}${of}${unit ? ` ${unit}` : ""}`;
}

/**
 * Return the whole seconds that an operation took or has taken so far; null before its start.
 *
 * @param {Operation} operation
 * @param {number} now Epoch seconds.
 */
export function elapsed(operation, now) {
  if (hasEnded(operation)) return operation.duration;
  if (!["running", "retrying", "replaced"].includes(operation.state)) return null;
  if (!operation.started_at) return null;
  return Math.max(0, Math.floor(now - operation.started_at));
}

/**
 * Return when an operation started; null before that.
 *
 * @param {Operation} operation
 * @returns {number | null} Epoch seconds.
 */
export function startOf(operation) {
  return hasNotBegun(operation) ? null : operation.started_at || null;
}

/**
 * @param {ProgressEvent} event
 * @returns {Tone}
 */
export function eventTone({ event_type: type, data }) {
  if (type === "completed") return "success";
  if (type === "error") return data.status === "cancelled" ? "warning" : "failure";
  if (type === "log") return levelTone(data.level);
  if (type === "status") return data.status === "retrying" ? "warning" : "accent";
  return "muted";
}

/**
 * @param {string} level
 * @returns {Tone}
 */
export function levelTone(level) {
  if (level === "error" || level === "critical") return "failure";
  if (level === "warning") return "warning";
  return level === "debug" ? "muted" : "accent";
}

/**
 * Return an event as one line.
 *
 * @param {ProgressEvent} event
 * @returns {string}
 */
export function summary(event) {
  const { event_type: type, data } = event;
  switch (type) {
    case "progress":
      return `${data.indeterminate ? "" : formatPercent(data.progress)} ${data.message}`.trim();
    case "log":
      return `${data.level}: ${data.message}`;
    case "status":
      return [data.status, data.message, waitOf(event)].filter(Boolean).join(": ");
    case "result":
      return formatResult(data.result, exactResult(event));
    case "completed":
      return [data.ignored && "ignored", data.duration !== undefined && `took ${formatDuration(data.duration)}`]
        .filter(Boolean)
        .join(", ");
    case "error":
      return `${data.error_type}: ${data.error}`;
    default:
      return "";
  }
}

/**
 * Return when an operation that waits for its time is to start, as it was said then; may be empty.
 *
 * @param {EventOf<"status">} event
 */
function waitOf({ data, timestamp }) {
  const left = data.starts_at === undefined ? 0 : data.starts_at - timestamp;
  return left > 0 ? `in ${formatWait(left)}` : "";
}

/**
 * Return the time of day, to the millisecond.
 *
 * @param {number} at Epoch seconds.
 */
export function timeOfDay(at) {
  const date = new Date(at * 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two);
  return `${parts.join(":")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/**
 * Return the time of day, to the second; on another day the date and the time to the minute.
 *
 * @param {number | null} at Epoch seconds; null if there is none.
 * @param {number} now Epoch seconds.
 */
export function clockOf(at, now) {
  if (at === null) return NONE;
  const date = new Date(at * 1000);
  const time = timeOfDay(at);
  if (date.toDateString() === new Date(now * 1000).toDateString()) return time.slice(0, 8);
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time.slice(0, 5)}`;
}

/**
 * Return a date and time, to the second, in the language of the reader.
 *
 * @param {number} at Epoch seconds.
 */
export function momentOf(at) {
  return new Date(at * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/**
 * Return a duration; below a second in milliseconds.
 *
 * @param {number} seconds
 */
export function durationOf(seconds) {
  const thousandths = Math.max(0, Math.round(seconds * 1000));
  return thousandths < 1000 ? `${thousandths} ms` : formatDuration(seconds);
}

/**
 * Return a value as indented JSON, or a string as it is.
 *
 * @param {unknown} value
 */
export function prettyJson(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/**
 * Return a size in B, KB, MB or GB.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [unit, size] = bytes < 1e6 ? ["KB", 1e3] : bytes < 1e9 ? ["MB", 1e6] : ["GB", 1e9];
  return `${formatNumber(bytes / Number(size))} ${unit}`;
}

/**
 * Return the label of the connection.
 *
 * @param {ConnectionState} state
 * @param {Loss | null} lost
 * @param {boolean} online
 * @returns {{ word: string, tone: Tone }}
 */
export function connectionLabel(state, lost, online) {
  if (state === "open") return { word: "Live", tone: "success" };
  if (state === "closed") return { word: "Closed", tone: "failure" };
  if (!online) return { word: "Offline", tone: "warning" };
  if (state === "reconnecting") return { word: "Reconnecting", tone: "warning" };
  return lost ? { word: "The sidecar is unreachable", tone: "warning" } : { word: "Connecting", tone: "muted" };
}
