/**
 * The exact JSON of results whose integers JavaScript cannot hold (above 2^53). Called by the
 * element and the dashboard, which show such results.
 *
 * Pure, except that it reads the texts of frames that `socket.js` keeps.
 */

import { frameTexts } from "./socket.js";

/** @import { ProgressEvent } from "./protocol.js" */

/** Marks a number that was made a string; a private-use character, so no text begins with it. */
const MARK = "\uE000";

/** A JSON string or number. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/**
 * Return the JSON of an event's result; undefined if the parsed value is exact.
 *
 * @param {ProgressEvent} event
 * @param {ProgressEvent[]} [history] The history that holds the event.
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
