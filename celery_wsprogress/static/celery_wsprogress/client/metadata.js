/**
 * The metadata of an operation, merged from its events and bounded as the sidecar does it
 * (`operations/held_values.py`): a task may set ever new names.
 *
 * Pure.
 */

/** @typedef {Record<string, unknown>} Metadata */

/** Maximum size of the metadata of an operation, in bytes of JSON. */
const MAX_BYTES = 8_000;

/**
 * Return the metadata of two events in one object.
 *
 * If that is too large, only those that are preferred stay: a worker sends all that a task has set
 * with each change of it.
 *
 * @param {Metadata} older
 * @param {Metadata} newer
 * @param {boolean} preferOlder
 * @returns {Metadata}
 */
export function mergeMetadata(older, newer, preferOlder) {
  const [first, last] = preferOlder ? [newer, older] : [older, newer];
  const merged = { ...first, ...last };
  return [merged, last].find((one) => sizeOf(one) <= MAX_BYTES) ?? { truncated: true };
}

/**
 * Return the bytes of JSON of a value.
 *
 * @param {Metadata} value
 */
function sizeOf(value) {
  const text = JSON.stringify(value);
  // Nearly always it is small: a character takes three bytes at most.
  return 3 * text.length <= MAX_BYTES ? text.length : new TextEncoder().encode(text).length;
}
