/**
 * The operations of the table, filtered and in order, with the counts per group.
 *
 * A change only marks an operation; `update` looks at the marked ones.
 *
 * Pure.
 */

import { sortBy } from "./columns.js";
import { EVERYTHING, groupOf, GROUPS, isEmptyFilter, makePredicate } from "./filter.js";
import { compare, indexOf, sortKeyOf } from "./order.js";
import { isWorkflow } from "./workflow_steps.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { Sorting } from "./columns.js" */
/** @import { Filter, Group } from "./filter.js" */
/** @import { SortKey } from "./order.js" */

/** Number of moves above which a sort is cheaper. */
const MAX_MOVES = 50;

/** Maximum number of types, and of tags, to suggest. */
const MAX_SUGGESTIONS = 200;

/** @typedef {{ place: SortKey, group: Group, shown: boolean, workflow: boolean }} Entry */

export class OperationList {
  /** The sort keys of the shown operations, in order. @type {SortKey[]} */
  order = [];

  /** The number of operations in each group, shown or not. @type {Record<Group, number>} */
  counts = { running: 0, waiting: 0, completed: 0, error: 0, cancelled: 0 };

  /** The number of workflows, shown or not. */
  workflows = 0;

  /** Names of types and tags to suggest. */
  types = new Set();
  tags = new Set();

  #operations;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Set<string>} */
  #dirty = new Set();
  #isBelow;
  #isStepOf;
  #matches = makePredicate(EVERYTHING);
  /** Whether steps stand below their workflows only: not where the filter looks for them. */
  #nests = true;
  #filterChanged = false;
  /** The order that the reader has chosen. @type {Sorting | null} */
  #sorting = null;

  /**
   * @param {Map<string, Operation>} operations The snapshots; not changed here.
   * @param {(operation: Operation) => boolean} [isBelow] Whether an operation has no row of its own,
   *   because it stands below that of a workflow. When that changes, mark it.
   * @param {(operation: Operation, workflowId: string) => boolean} [isStepOf] Whether an operation
   *   is known to be a step of a workflow. When that changes, mark it, too.
   */
  constructor(operations, isBelow = () => false, isStepOf = () => false) {
    this.#operations = operations;
    this.#isBelow = isBelow;
    this.#isStepOf = isStepOf;
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
    this.#matches = makePredicate(filter, this.#isStepOf);
    this.#nests = isEmptyFilter(filter);
    this.#filterChanged = true;
  }

  /**
   * Sort by a column; null for the order of the table itself.
   *
   * @param {Sorting | null} sorting
   */
  sort(sorting) {
    this.#sorting = sorting;
    this.#filterChanged = true;
  }

  /**
   * Bring the order and the counts up to date.
   *
   * @param {number} [now] Epoch seconds, for an order by elapsed times.
   * @returns {boolean} Whether the order or a count may have changed.
   */
  update(now = 0) {
    const moved = [...this.#dirty].map((id) => this.#refresh(id)).filter((one) => one !== null);
    this.#dirty.clear();
    const gone = this.#removeEvicted();
    if (this.#filterChanged) this.#applyFilter();
    const sorts = this.#filterChanged || this.#sorting !== null;
    if (sorts || moved.length + gone.length > MAX_MOVES) this.#sort(now);
    else {
      for (const { before } of [...moved, ...gone]) this.#remove(before);
      for (const { after } of moved) this.#insert(after);
    }
    const changed = sorts || moved.length > 0 || gone.length > 0;
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
    const [group, shown] = [groupOf(operation), this.#shows(operation)];
    const entry = { place, group, shown, workflow: isWorkflow(operation) };
    this.workflows += Number(entry.workflow) - Number(known?.workflow ?? false);
    const same = known && known.shown === entry.shown && known.group === entry.group;
    if (same && !compare(known.place, place)) {
      known.workflow = entry.workflow;
      return null;
    }
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
    for (const [id, { place, group, shown, workflow }] of this.#entries) {
      if (this.#operations.has(id)) continue;
      this.#entries.delete(id);
      this.counts[group] -= 1;
      this.workflows -= Number(workflow);
      gone.push({ before: shown ? place : null });
    }
    return gone;
  }

  /** @param {Operation} operation */
  #shows(operation) {
    return this.#matches(operation) && !(this.#nests && this.#isBelow(operation));
  }

  #applyFilter() {
    for (const [id, entry] of this.#entries) {
      const operation = this.#operations.get(id);
      if (operation) entry.shown = this.#shows(operation);
    }
  }

  /** @param {number} now */
  #sort(now) {
    const shown = [...this.#entries.values()].filter((one) => one.shown).map((one) => one.place);
    this.order = this.#sorting
      ? sortBy(shown, this.#operations, this.#sorting, now)
      : shown.sort(compare);
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
