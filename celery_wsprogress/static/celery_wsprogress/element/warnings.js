/**
 * Details for operators, on the console, each once.
 *
 * Runs in: a page.
 */

/** @import { Loss } from "../client/connection.js" */

/** Maximum number of warnings. */
const MAX_WARNINGS = 100;

/** Warnings that were written. @type {Set<string>} */
const warned = new Set();

/** @param {string} text */
export function warn(text) {
  if (warned.has(text) || warned.size >= MAX_WARNINGS) return;
  warned.add(text);
  console.warn(`<celery-progress>: ${text}`);
}

/**
 * @param {string | undefined} url
 * @param {Loss} lost
 */
export function warnUnreachable(url, { reason, code }) {
  const why = reason || code;
  warn(`no connection to ${url} (${why}); trying again. Is a sidecar there, and \`url\` right?`);
}

/** @param {string} id */
export function warnUnknown(id) {
  warn(
    `nothing was heard of ${id}. Is it the id of a task with base=StreamingTask, and does its ` +
      "worker use the broker of the sidecar?",
  );
}
