/**
 * In which order operations are shown: what runs first, then what waits, then what has ended; in
 * each the newest first. Progress changes nothing in it, so rows stay where they are.
 *
 * Pure.
 */

import { hasEnded } from "../../client/protocol.js";

/** @import { Operation } from "../../client/protocol.js" */

/**
 * @typedef {object} SortKey What an operation is ordered by.
 * @property {string} id
 * @property {number} rank
 * @property {number} at Epoch seconds.
 */

/**
 * @param {Operation} operation
 * @returns {SortKey}
 */
export function sortKeyOf(operation) {
  const { operation_id: id, state, started_at: started } = operation;
  if (hasEnded(operation)) return { id, rank: 2, at: operation.finished_at ?? started };
  if (state === "queued" || state === "received") {
    return { id, rank: 1, at: operation.queued_at ?? operation.received_at ?? started };
  }
  return { id, rank: 0, at: started };
}

/**
 * @param {SortKey} one
 * @param {SortKey} other
 */
export function compare(one, other) {
  if (one.rank !== other.rank) return one.rank - other.rank;
  if (one.at !== other.at) return other.at - one.at;
  return one.id < other.id ? -1 : Number(one.id > other.id);
}

/**
 * Where a place is in an order, or would be.
 *
 * @param {SortKey[]} order
 * @param {SortKey} place
 */
export function indexOf(order, place) {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(order[middle], place) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
