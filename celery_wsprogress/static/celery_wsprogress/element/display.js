/**
 * The texts of `<celery-progress>` for an operation and the state of its connection.
 *
 * Pure.
 */

import { hasEnded } from "../client/protocol.js";
import { fillTemplate, formatStart, formatStatus, formatWait } from "./format.js";

/** @import { ConnectionState, Loss } from "../client/connection.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */

/**
 * @typedef {object} Display The texts that show the state of an operation and its connection.
 * @property {string} status A word or two, or when it starts.
 * @property {string} [word] The same without a time that counts down, if there is one.
 * @property {string} [text] A sentence, shown as the message while there is no operation.
 * @property {string} [problem] A sentence, shown as the error if the operation has none.
 * @property {string} [connection] The value of the attribute `connection`.
 */

/**
 * @typedef {object} Link The way to the sidecar.
 * @property {ConnectionState} state
 * @property {Loss | null} lost
 * @property {Error | null} error The reason why the watch was rejected.
 * @property {boolean} isUnknown The sidecar has sent nothing about the operation for some time.
 * @property {number | null} retryIn Whole seconds until the next attempt to connect; null if none
 *   is awaited.
 */

/**
 * Return an operation without what an exception said: the reason of its end, or of a retry, which
 * stays its message where no other attempt has said anything since.
 *
 * @param {Operation} operation
 * @returns {Operation}
 */
export function withoutErrorDetail(operation) {
  const message = operation.state === "retrying" || operation.error ? "" : operation.message;
  return { ...operation, message, error: null, error_type: null };
}

/**
 * Return the whole seconds until the next attempt to connect; null if none is awaited.
 *
 * @param {{ state: ConnectionState, lost: Loss | null } | null} client
 * @param {number} now Milliseconds by the clock of this machine.
 */
export function secondsToRetry(client, now) {
  if (!client?.lost || client.state === "open") return null;
  const seconds = Math.ceil((client.lost.retryAt - now) / 1000);
  return seconds > 0 ? seconds : null;
}

/**
 * Return the texts to show.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {Link} link
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 * @returns {Display}
 */
export function displayOf(operation, words, { state, lost, error, isUnknown, retryIn }, now, language) {
  if (operation && hasEnded(operation)) return { status: formatStatus(operation, words) };
  if (error) return { status: words.refused, problem: words.refusedText, connection: "closed" };
  if (state !== "open" && operation) return { status: words.reconnecting, connection: "reconnecting" };
  if (state !== "open" && lost) {
    const text = retryIn
      ? fillTemplate(words.retryText, formatWait(retryIn, language))
      : words.unreachableText;
    return { status: words.unreachable, text, connection: state };
  }
  if (state !== "open") return { status: words.connecting };
  if (operation || !isUnknown) {
    const word = formatStatus(operation, words);
    return { status: formatStart(operation, words, now, language), word };
  }
  return { status: words.unheard, text: words.unheardText };
}
