/**
 * The texts of an operation: status, figures, result.
 *
 * Pure. Numbers follow the language of the reader; the words can be replaced.
 */

import { hasEnded } from "../client/protocol.js";
import { secondsToExpiry, secondsToStart } from "./countdown.js";

/** @import { Operation } from "../client/protocol.js" */

/** The words, in English. */
export const WORDS = {
  connecting: "connecting",
  unreachable: "no connection",
  unreachableText: "Trying again automatically.",
  retryText: "Trying again in {}.",
  refused: "not available",
  refusedText: "This progress cannot be shown here.",
  unknown: "waiting for updates",
  unheard: "no updates yet",
  unheardText: "No update of this task has arrived yet.",
  queued: "queued",
  scheduled: "queued",
  received: "queued",
  running: "running",
  retrying: "retrying",
  replaced: "waiting to continue",
  stalled: "stalled",
  completed: "done",
  ignored: "ignored",
  error: "failed",
  cancelled: "cancelled",
  cancel: "Cancel",
  cancelling: "cancelling",
  reconnecting: "reconnecting",
  startsIn: "starts in {}",
  retriesIn: "retrying in {}",
  expiresIn: "expires in {}",
  attempt: "attempt {}",
  attemptOf: "attempt {} of {}",
  left: "{} left",
  took: "took {}",
  of: "{} of {}",
  perSecond: "{}/s",
  waiting: "waiting",
  skipped: "skipped",
  chain: "chain",
  group: "group",
  workflow: "workflow",
  task: "task",
  tasks: "tasks",
  steps: "Steps",
  stepsRefused: "The steps may not be shown here.",
};

/** @typedef {typeof WORDS} Words */

/**
 * Return the given words, with the English ones where they are missing.
 *
 * @param {Partial<Record<string, unknown>> | null | undefined} given
 * @returns {Words}
 */
export function mergeWords(given) {
  const texts = Object.entries(given ?? {}).filter(([, word]) => typeof word === "string");
  return { ...WORDS, ...Object.fromEntries(texts) };
}

/**
 * Return the word for the state of an operation, or the status word of the task.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 */
export function formatStatus(operation, words) {
  if (!operation) return words.unknown;
  const { state, status } = operation;
  const ended = operation.ignored ? "ignored" : state;
  const named = hasEnded(operation) ? ended : status;
  const word = /** @type {Record<string, unknown>} */ (words)[named];
  // A task's own status may have the name of a pattern.
  return typeof word === "string" && !word.includes("{}") ? word : named;
}

/**
 * Return when an operation starts, or starts again; without a time the same as `formatStatus`.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 */
export function formatStart(operation, words, now, language) {
  const seconds = secondsToStart(operation, now);
  if (!operation || seconds === null) return formatStatus(operation, words);
  const pattern = operation.state === "retrying" ? words.retriesIn : words.startsIn;
  return fillTemplate(pattern, formatWait(seconds, language));
}

/**
 * Return the number of an attempt after the first; empty for the first one.
 *
 * @param {Operation} operation
 * @param {Words} words
 */
export function formatAttempt({ state, attempt, max_attempts: limit }, words) {
  // Only a retry of which the limit is known is certain to be another attempt.
  const number = (attempt ?? 1) + Number(state === "retrying" && limit != null);
  if (number < 2) return "";
  const texts = [number, limit].map(String);
  return limit == null ? fillTemplate(words.attempt, texts[0]) : fillTemplate(words.attemptOf, ...texts);
}

/**
 * Return the figures of an operation: units, rate, attempt, and the time that is left or was taken.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {string | undefined} language
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @returns {string[]}
 */
export function formatFigures(operation, words, language, now) {
  if (!operation) return [];
  const { current, total, unit, rate, eta, duration, state } = operation;
  const count = (/** @type {number} */ value) => formatNumber(value, language);
  const figures = [];
  const named = unit ? ` ${unit}` : "";
  if (current != null && total != null) {
    figures.push(fillTemplate(words.of, count(current), count(total)) + named);
  } else if (current != null) {
    figures.push(count(current) + named);
  }
  if (hasEnded(operation)) {
    if (duration != null) figures.push(fillTemplate(words.took, formatDuration(duration, language)));
    return figures;
  }
  const attempt = formatAttempt(operation, words);
  if (attempt) figures.push(attempt);
  const expiry = secondsToExpiry(operation, now);
  if (expiry !== null) figures.push(fillTemplate(words.expiresIn, formatWait(expiry, language)));
  if (state === "running") {
    if (rate != null && current != null) {
      figures.push(fillTemplate(words.perSecond, count(rate) + named));
    }
    if (eta != null) figures.push(fillTemplate(words.left, formatDuration(eta, language)));
  }
  return figures;
}

/**
 * Return a count; 100,000 and more in compact notation.
 *
 * @param {number} value
 * @param {string} [language]
 */
export function formatNumber(value, language) {
  const notation = Math.abs(value) < 100_000 ? "standard" : "compact";
  const digits = Math.abs(value) < 100 || notation === "compact" ? 1 : 0;
  return applyFormat(value, language, { notation, maximumFractionDigits: digits });
}

/**
 * Return a fraction in whole percent, rounded down.
 *
 * @param {number} fraction
 * @param {string} [language]
 */
export function formatPercent(fraction, language) {
  const whole = fraction < 1 ? Math.floor(fraction * 100) / 100 : 1;
  return applyFormat(whole, language, { style: "percent" });
}

/**
 * Return a duration, as `0.4 s`, `42 s`, `1:05` or `2:03:04`.
 *
 * @param {number} seconds
 * @param {string} [language]
 */
export function formatDuration(seconds, language) {
  if (seconds < 59.5) {
    const digits = seconds < 9.95 && seconds % 1 ? 1 : 0;
    return applyFormat(seconds, language, { style: "unit", unit: "second", maximumFractionDigits: digits });
  }
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const clock = `${hours ? two(minutes) : minutes}:${two(whole % 60)}`;
  return hours ? `${hours}:${clock}` : clock;
}

/**
 * Return a time to wait in one unit, as `42 s`, `4 min`, `3 h` or `2 days`. A minute that has begun
 * counts, so that the last one is followed by 60 seconds.
 *
 * @param {number} seconds
 * @param {string} [language]
 */
export function formatWait(seconds, language) {
  const put = (/** @type {number} */ value, /** @type {string} */ unit) =>
    applyFormat(value, language, { style: "unit", unit });
  if (seconds > 172_800) return put(Math.round(seconds / 86_400), "day");
  if (seconds > 7_200) return put(Math.round(seconds / 3_600), "hour");
  return seconds > 60 ? put(Math.ceil(seconds / 60), "minute") : put(Math.ceil(seconds), "second");
}

/**
 * A cache: to create a format takes far longer than to use it.
 * @type {Map<string, Intl.NumberFormat>}
 */
const formats = new Map();

/**
 * @param {number} value
 * @param {string | undefined} language
 * @param {Intl.NumberFormatOptions} options
 */
function applyFormat(value, language, options) {
  const key = JSON.stringify([language, options]);
  const format = formats.get(key) ?? numberFormat(language, options);
  formats.set(key, format);
  return format.format(value);
}

/**
 * Return the format of a language of a page, which may be none that the browser knows.
 *
 * @param {string | undefined} language
 * @param {Intl.NumberFormatOptions} options
 */
function numberFormat(language, options) {
  for (const one of [language, language?.replace(/_/g, "-").replace(/[.@].*/, "")]) {
    try {
      return new Intl.NumberFormat(one, options);
    } catch {
      // Try the next one.
    }
  }
  return new Intl.NumberFormat(undefined, options);
}

/**
 * Return a value as text of at most 300 characters.
 *
 * @param {unknown} value
 * @param {string} [json] Its exact JSON, if it has integers that JavaScript cannot hold.
 */
export function formatResult(value, json) {
  if (value === undefined || value === null) return "";
  const text = typeof value === "string" ? value : (json ?? JSON.stringify(value));
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}

/**
 * @param {string} pattern With `{}` for each value.
 * @param {string[]} values
 */
export function fillTemplate(pattern, ...values) {
  return values.reduce((text, value) => text.replace("{}", () => value), pattern);
}
