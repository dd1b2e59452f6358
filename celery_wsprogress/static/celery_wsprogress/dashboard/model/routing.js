/**
 * Addresses of the dashboard: the fragment names the open operation.
 *
 * Pure.
 */

const OPERATION = "#/operation/";

/**
 * Return the operation id in a fragment; null if there is none.
 *
 * @param {string} hash
 * @returns {string | null}
 */
export function operationInHash(hash) {
  if (!hash.startsWith(OPERATION)) return null;
  try {
    return decodeURIComponent(hash.slice(OPERATION.length)) || null;
  } catch {
    return null;
  }
}

/**
 * Return the fragment of an operation, or of the table alone.
 *
 * @param {string | null} id
 */
export function addressOf(id) {
  return id === null ? "#/" : OPERATION + encodeURIComponent(id);
}

/**
 * Return the address of a task in Flower; null without Flower.
 *
 * @param {string} flower Its address.
 * @param {string} id
 */
export function flowerTaskUrl(flower, id) {
  if (!/^https?:\/\//.test(flower)) return null;
  return `${flower.replace(/\/+$/, "")}/task/${encodeURIComponent(id)}`;
}
