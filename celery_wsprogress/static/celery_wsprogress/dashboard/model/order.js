/**
 * The order of operations: running ones first, then waiting ones, then ended ones; in each group
 * the newest first. Progress does not change it.
 *
 * Pure.
 */

import { hasEnded, hasNotBegun } from "../../client/protocol.js";

/** @import { Operation } from "../../client/protocol.js" */

/**
 * @typedef {object} SortKey The order of an operation.
 * @property {string} id
 * @property {number} rank
 * @property {number} at Epoch seconds.
 */

/**
 * @param {Operation} operation
 * @returns {SortKey}
 */
export function sortKeyOf(operation) {
  const { operation_id: id, started_at: started } = operation;
  if (hasEnded(operation)) return { id, rank: 2, at: operation.finished_at ?? started };
  if (hasNotBegun(operation)) {
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
 * Return the index of a sort key in an order, or the index at which to insert it.
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
