/**
 * The operations that are shown, in their order, and how many there are of each kind.
 *
 * What changes is noted at no cost, and put in its place when the order is asked for: only what
 * has changed since then is looked at.
 *
 * Pure.
 */

import { EVERYTHING, groupOf, GROUPS, predicateOf } from "./filtering.js";
import { compare, indexOf, placeOf } from "./ordering.js";

/** @import { Operation } from "../protocol.js" */
/** @import { Filter, Group } from "./filtering.js" */
/** @import { Place } from "./ordering.js" */

/** Changes above which sorting anew is less work than moving one by one. */
const MANY = 50;

/** Types and tags that are kept to be proposed. */
const PROPOSED = 200;

/** @typedef {{ place: Place, group: Group, shown: boolean }} Entry */

export class Roster {
  /** The places of what is shown, in their order. @type {Place[]} */
  order = [];

  /** How many there are of each group, shown or not. @type {Record<Group, number>} */
  counts = { running: 0, waiting: 0, completed: 0, error: 0, cancelled: 0 };

  /** Names of types and of tags, to be proposed. */
  types = new Set();
  tags = new Set();

  #operations;
  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** @type {Set<string>} */
  #touched = new Set();
  #shows = predicateOf(EVERYTHING);
  #stale = false;

  /** @param {Map<string, Operation>} operations How they stand: this is not changed here. */
  constructor(operations) {
    this.#operations = operations;
    for (const id of operations.keys()) this.#touched.add(id);
  }

  /** How many there are, shown or not. */
  get size() {
    return this.#entries.size;
  }

  /** Whether there is anything to put in its place. */
  get unsettled() {
    return this.#stale || this.#touched.size > 0;
  }

  /**
   * Something is different about an operation.
   *
   * @param {string} id
   */
  touch(id) {
    this.#touched.add(id);
  }

  /** @param {Filter} filter */
  filter(filter) {
    this.#shows = predicateOf(filter);
    this.#stale = true;
  }

  /**
   * Bring the order and the counts up to date.
   *
   * @returns {boolean} Whether the order, or a count, is another one.
   */
  settle() {
    const moved = [...this.#touched].map((id) => this.#enter(id)).filter((one) => one !== null);
    this.#touched.clear();
    const gone = this.#prune();
    if (this.#stale) this.#showAnew();
    if (this.#stale || moved.length + gone.length > MANY) this.#sort();
    else {
      for (const { before } of [...moved, ...gone]) this.#take(before);
      for (const { after } of moved) this.#put(after);
    }
    const changed = this.#stale || moved.length > 0 || gone.length > 0;
    this.#stale = false;
    return changed;
  }

  /**
   * Look at one operation again.
   *
   * @param {string} id
   * @returns {{ before: Place | null, after: Place | null } | null} Where it was shown, and where
   *   it is; null where nothing is different.
   */
  #enter(id) {
    const operation = this.#operations.get(id);
    if (!operation) return null;
    const known = this.#entries.get(id);
    const place = placeOf(operation);
    const entry = { place, group: groupOf(operation), shown: this.#shows(operation) };
    const same = known && known.shown === entry.shown && known.group === entry.group;
    if (same && !compare(known.place, place)) return null;
    this.#entries.set(id, entry);
    if (known) this.counts[known.group] -= 1;
    else this.#propose(operation);
    this.counts[entry.group] += 1;
    return { before: known?.shown ? known.place : null, after: entry.shown ? place : null };
  }

  /** Forget what the client has let go. */
  #prune() {
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

  #showAnew() {
    for (const [id, entry] of this.#entries) {
      const operation = this.#operations.get(id);
      if (operation) entry.shown = this.#shows(operation);
    }
  }

  #sort() {
    const shown = [...this.#entries.values()].filter((one) => one.shown);
    this.order = shown.map((one) => one.place).sort(compare);
  }

  /** @param {Place | null} place */
  #take(place) {
    if (place) this.order.splice(indexOf(this.order, place), 1);
  }

  /** @param {Place | null} place */
  #put(place) {
    if (place) this.order.splice(indexOf(this.order, place), 0, place);
  }

  /** @param {Operation} operation */
  #propose({ operation_type: type, tags }) {
    if (type && this.types.size < PROPOSED) this.types.add(type);
    for (const tag of tags) if (this.tags.size < PROPOSED) this.tags.add(tag);
  }
}

/** @param {Record<Group, number>} counts */
export function sumOf(counts) {
  return GROUPS.reduce((sum, group) => sum + counts[group], 0);
}
