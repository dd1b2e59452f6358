/**
 * The columns by which a reader may sort the table, and the order of operations by one of them.
 *
 * Pure.
 */

import { elapsed, startOf } from "./format.js";
import { compare } from "./order.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { SortKey } from "./order.js" */

/** @typedef {"task" | "progress" | "left" | "time" | "started" | "worker"} Column */

/** @typedef {{ column: Column, descending: boolean }} Sorting */

/**
 * What is compared; null has no place and comes last.
 *
 * @type {Record<Column, (operation: Operation, now: number) => number | string | null>}
 */
const VALUES = {
  task: ({ operation_type: type }) => type || null,
  progress: ({ indeterminate, progress }) => (indeterminate ? null : progress),
  left: ({ state, eta }) => (state === "running" ? eta : null),
  time: elapsed,
  started: startOf,
  worker: ({ worker }) => worker,
};

export const COLUMNS = /** @type {Column[]} */ (Object.keys(VALUES));

/** Columns of texts; what is asked of the others first is the largest value. */
const TEXTS = ["task", "worker"];

/**
 * Return the order after a press of the head of a column: by it, then the other way round, then the
 * order that the table has by itself.
 *
 * @param {Sorting | null} before
 * @param {Column} column
 * @returns {Sorting | null}
 */
export function nextSorting(before, column) {
  const descending = !TEXTS.includes(column);
  if (before?.column !== column) return { column, descending };
  return before.descending === descending ? { column, descending: !descending } : null;
}

/**
 * Return operations by a column; those that are equal there as the table has them by itself.
 *
 * @param {SortKey[]} places
 * @param {Map<string, Operation>} operations
 * @param {Sorting} sorting
 * @param {number} now Epoch seconds.
 */
export function sortBy(places, operations, { column, descending }, now) {
  const valueOf = VALUES[column];
  const valued = places.map((place) => {
    const operation = operations.get(place.id);
    return { place, value: operation ? valueOf(operation, now) : null };
  });
  valued.sort((one, other) => {
    if (one.value === other.value) return compare(one.place, other.place);
    if (one.value === null || other.value === null) return one.value === null ? 1 : -1;
    return one.value < other.value === descending ? 1 : -1;
  });
  return valued.map(({ place }) => place);
}
