/**
 * What the address says is to be seen: everything, or one operation beside it.
 *
 * Pure.
 */

const OPERATION = "#/operation/";

/**
 * The operation that an address is of; null where it is of none.
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
 * The end of the address of an operation; without one, of everything.
 *
 * @param {string | null} id
 */
export function addressOf(id) {
  return id === null ? "#/" : OPERATION + encodeURIComponent(id);
}

/**
 * The page of a task in Flower; null where there is no Flower.
 *
 * @param {string} flower Its address.
 * @param {string} id
 */
export function flowerTaskUrl(flower, id) {
  if (!/^https?:\/\//.test(flower)) return null;
  return `${flower.replace(/\/+$/, "")}/task/${encodeURIComponent(id)}`;
}
