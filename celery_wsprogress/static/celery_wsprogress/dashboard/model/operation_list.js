/**
 * The operations of the table, filtered and in order, with the counts per group.
 *
 * A change only marks an operation; `update` looks at the marked ones.
 *
 * Pure.
 */

import { EVERYTHING, groupOf, GROUPS, makePredicate } from "./filter.js";
import { compare, indexOf, sortKeyOf } from "./order.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { Filter, Group } from "./filter.js" */
/** @import { SortKey } from "./order.js" */

/** Number of moves above which a sort is cheaper. */
const MAX_MOVES = 50;

/** Maximum number of types, and of tags, to suggest. */
const MAX_SUGGESTIONS = 200;

/** @typedef {{ place: SortKey, group: Group, shown: boolean }} Entry */

export class OperationList {
  /** The sort keys of the shown operations, in order. @type {SortKey[]} */
  order = [];

  /** The number of operations in each group, shown or not. @type {Record<Group, number>} */
  counts = { running: 0, waiting: 0, completed: 0, error: 0, cancelled: 0 };

  /** Names of types and tags to suggest. */
  types = new Set();
  tags = new Set();

  #operations;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Set<string>} */
  #dirty = new Set();
  #shows = makePredicate(EVERYTHING);
  #filterChanged = false;

  /** @param {Map<string, Operation>} operations The snapshots; not changed here. */
  constructor(operations) {
    this.#operations = operations;
    for (const id of operations.keys()) this.#dirty.add(id);
  }

  /** The number of operations, shown or not. */
  get size() {
    return this.#entries.size;
  }

  /** Whether `update` has anything to do. */
  get needsUpdate() {
    return this.#filterChanged || this.#dirty.size > 0;
  }

  /**
   * Mark an operation as changed.
   *
   * @param {string} id
   */
  markDirty(id) {
    this.#dirty.add(id);
  }

  /** @param {Filter} filter */
  filter(filter) {
    this.#shows = makePredicate(filter);
    this.#filterChanged = true;
  }

  /**
   * Bring the order and the counts up to date.
   *
   * @returns {boolean} Whether the order or a count has changed.
   */
  update() {
    const moved = [...this.#dirty].map((id) => this.#refresh(id)).filter((one) => one !== null);
    this.#dirty.clear();
    const gone = this.#removeEvicted();
    if (this.#filterChanged) this.#applyFilter();
    if (this.#filterChanged || moved.length + gone.length > MAX_MOVES) this.#sort();
    else {
      for (const { before } of [...moved, ...gone]) this.#remove(before);
      for (const { after } of moved) this.#insert(after);
    }
    const changed = this.#filterChanged || moved.length > 0 || gone.length > 0;
    this.#filterChanged = false;
    return changed;
  }

  /**
   * Update the entry of one operation.
   *
   * @param {string} id
   * @returns {{ before: SortKey | null, after: SortKey | null } | null} Its sort keys before and
   *   after; null if nothing has changed.
   */
  #refresh(id) {
    const operation = this.#operations.get(id);
    if (!operation) return null;
    const known = this.#entries.get(id);
    const place = sortKeyOf(operation);
    const entry = { place, group: groupOf(operation), shown: this.#shows(operation) };
    const same = known && known.shown === entry.shown && known.group === entry.group;
    if (same && !compare(known.place, place)) return null;
    this.#entries.set(id, entry);
    if (known) this.counts[known.group] -= 1;
    else this.#suggest(operation);
    this.counts[entry.group] += 1;
    return { before: known?.shown ? known.place : null, after: entry.shown ? place : null };
  }

  /** Remove the operations that the client has dropped. */
  #removeEvicted() {
    if (this.#entries.size <= this.#operations.size) return [];
    const gone = [];
    for (const [id, { place, group, shown }] of this.#entries) {
      if (this.#operations.has(id)) continue;
      this.#entries.delete(id);
      this.counts[group] -= 1;
      gone.push({ before: shown ? place : null });
    }
    return gone;
  }

  #applyFilter() {
    for (const [id, entry] of this.#entries) {
      const operation = this.#operations.get(id);
      if (operation) entry.shown = this.#shows(operation);
    }
  }

  #sort() {
    const shown = [...this.#entries.values()].filter((one) => one.shown);
    this.order = shown.map((one) => one.place).sort(compare);
  }

  /** @param {SortKey | null} place */
  #remove(place) {
    if (place) this.order.splice(indexOf(this.order, place), 1);
  }

  /** @param {SortKey | null} place */
  #insert(place) {
    if (place) this.order.splice(indexOf(this.order, place), 0, place);
  }

  /** @param {Operation} operation */
  #suggest({ operation_type: type, tags }) {
    if (type && this.types.size < MAX_SUGGESTIONS) this.types.add(type);
    for (const tag of tags) if (this.tags.size < MAX_SUGGESTIONS) this.tags.add(tag);
  }
}

/** @param {Record<Group, number>} counts */
export function totalCount(counts) {
  return GROUPS.reduce((sum, group) => sum + counts[group], 0);
}
