/**
 * Results in which whole numbers are larger than JavaScript's: their JSON, as it came.
 *
 * Pure, but for the frames that are remembered where they are read.
 */

import { frameTexts } from "./socket.js";

/** @import { ProgressEvent } from "./protocol.js" */

/** What stands before a number that was made a string, and in no text that a person writes. */
const MARK = "\uE000";

/** A string, or a number. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/**
 * The JSON of an event's result; undefined where the value itself is exact.
 *
 * @param {ProgressEvent} event
 * @param {ProgressEvent[]} [history] The list that it is in.
 * @param {number} [indent]
 * @returns {string | undefined}
 */
export function exactResult(event, history, indent) {
  const text = frameTexts.get(history ?? event);
  if (text === undefined) return undefined;
  const marked = text.replace(TOKEN, (one) => (isTooLarge(one) ? `"${MARK}${one}"` : one));
  const frame = JSON.parse(marked);
  const same = (/** @type {ProgressEvent} */ one) => one.event_id === event.event_id;
  const twin = history ? frame.events.find(same) : frame;
  return JSON.stringify(twin.data.result, null, indent)?.replace(
    new RegExp(`"${MARK}(-?\\d+)"`, "g"),
    "$1",
  );
}

/** @param {string} token */
function isTooLarge(token) {
  return /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));
}
