/**
 * The texts of `<celery-progress>` for an operation and the state of its connection.
 *
 * Pure.
 */

import { hasEnded } from "../client/protocol.js";
import { formatStart, formatStatus } from "./format.js";

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
 * Return the texts to show.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {{ state: ConnectionState, lost: Loss | null } | null} client
 * @param {Error | null} error The reason why the watch was rejected.
 * @param {boolean} isUnknown The sidecar has sent nothing about the operation for some time.
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 * @returns {Display}
 */
export function displayOf(operation, words, client, error, isUnknown, now, language) {
  const { state = "open", lost = null } = client ?? {};
  if (operation && hasEnded(operation)) return { status: formatStatus(operation, words) };
  if (error) return { status: words.refused, problem: words.refusedText, connection: "closed" };
  if (state !== "open" && operation) return { status: words.reconnecting, connection: "reconnecting" };
  if (state !== "open" && lost) {
    return { status: words.unreachable, text: words.unreachableText, connection: state };
  }
  if (state !== "open") return { status: words.connecting };
  if (operation || !isUnknown) {
    const word = formatStatus(operation, words);
    return { status: formatStart(operation, words, now, language), word };
  }
  return { status: words.unheard, text: words.unheardText };
}
