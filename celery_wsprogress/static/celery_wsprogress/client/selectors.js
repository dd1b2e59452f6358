/**
 * Selectors: which operations a subscription or a filter covers.
 *
 * Called by `client.js` and `subscriptions.js`, and by the filter of the dashboard. The sidecar
 * applies the same rules (`operations/selector.py`); transcripts in `tests/` hold them together.
 *
 * Pure.
 */

/** @import { Operation, Selector } from "./protocol.js" */

/** As `operation_id`: every operation. */
export const EVERYTHING = "*";

/**
 * Return the field of a selector as a command carries it.
 *
 * @param {Selector} selector
 * @returns {Record<string, string>}
 */
export function selectorFields(selector) {
  const fields = Object.entries(selector).filter(([, value]) => value != null);
  if (fields.length > 1) throw new TypeError("A selector has one field");
  const [[name, value]] = fields.length ? fields : [["operation_id", EVERYTHING]];
  return { [name]: value };
}

/**
 * Return whether a selector covers an operation.
 *
 * @param {Record<string, string>} fields
 * @param {Operation} operation
 */
export function selects(fields, operation) {
  const [[name, value]] = Object.entries(fields);
  if (name === "operation_type") return matchesGlob(value, operation.operation_type);
  if (name === "tag") return operation.tags.includes(value);
  if (name === "steps_of") return operation.workflow_ids?.includes(value) ?? false;
  const { [name]: own, operation_id: id } = /** @type {Record<string, unknown>} */ (operation);
  if (value === EVERYTHING && name === "operation_id") return true;
  return own === value || (name === "root_id" && id === value);
}

/**
 * Return whether a text matches a glob, as Python's `fnmatch` does. All possible matches are
 * followed at once, in time proportional to the product of the lengths.
 *
 * @param {string} glob
 * @param {string} text
 */
export function matchesGlob(glob, text) {
  const parts = glob.match(/\[!?\]?[^\]]*\]|[^]/gu) ?? [];
  /** Positions in the glob that are possible after the characters so far. */
  let read = new Set([0]);
  let next = read;
  for (const character of [...text, ""]) {
    [read, next] = [next, new Set()];
    // The loop also visits positions that are added to the set meanwhile.
    for (const at of read) {
      if (parts[at] === "*") next.add(at), read.add(at + 1);
      else if (parts[at] && matchesPart(parts[at], character)) next.add(at + 1);
    }
  }
  return read.has(parts.length);
}

/**
 * @param {string} part
 * @param {string} character
 */
function matchesPart(part, character) {
  if (part === "?" || part === character) return true;
  if (part[0] !== "[" || part.length < 3) return false;
  const negated = part[1] === "!";
  const members = part.slice(negated ? 2 : 1, -1).matchAll(/([^])-([^])|[^]/gu);
  const found = [...members].some(
    ([one, first = one, last = one]) => first <= character && character <= last,
  );
  return found !== negated;
}
