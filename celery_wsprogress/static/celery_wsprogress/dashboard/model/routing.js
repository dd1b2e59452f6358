/**
 * Addresses of the dashboard: the fragment names the open operation, and has a query that says what
 * the table shows (`query.js`).
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
  const [id] = hash.slice(OPERATION.length).split("?");
  try {
    return decodeURIComponent(id) || null;
  } catch {
    return null;
  }
}

/**
 * Return the query in a fragment; null if there is none.
 *
 * @param {string} hash
 * @returns {string | null}
 */
export function queryInHash(hash) {
  const at = hash.indexOf("?");
  return at < 0 ? null : hash.slice(at + 1);
}

/**
 * Return the fragment of an operation, or of the table alone. Without a query the table goes on to
 * show what it shows.
 *
 * @param {string | null} id
 * @param {string} [query]
 */
export function addressOf(id, query = "") {
  const path = id === null ? "#/" : OPERATION + encodeURIComponent(id);
  return query ? `${path}?${query}` : path;
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
