/**
 * The texts for a sidecar that does not show everything.
 *
 * Pure.
 */

import { CommandError } from "../../client/protocol.js";

/**
 * @typedef {object} AccessError
 * @property {boolean} asks Whether a token may help.
 * @property {string} title
 * @property {string} text
 */

/**
 * @param {Error} error
 * @param {boolean} given Whether a token was given.
 * @returns {AccessError}
 */
export function accessError(error, given) {
  if (!(error instanceof CommandError)) {
    return { asks: true, title: "The connection is closed", text: `${error.message}.` };
  }
  if (error.code === "unauthorized") {
    return given
      ? { asks: true, title: "This token was rejected", text: sentence(error.message) }
      : { asks: true, title: "A token is needed", text: "This sidecar has a key." };
  }
  const text = "Tasks can be opened one by one, by their id.";
  const title = given ? "This token does not show everything" : "Not everything is shown here";
  return { asks: given, title, text };
}

/**
 * Return the text for one operation that may not be watched.
 *
 * @param {Error} error
 * @param {boolean} given Whether a token was given.
 */
export function operationAccessError(error, given) {
  if (error instanceof CommandError && error.code === "forbidden") return sentence(error.message);
  const { title, text } = accessError(error, given);
  return `${title}. ${text}`;
}

/** @param {string} text */
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
