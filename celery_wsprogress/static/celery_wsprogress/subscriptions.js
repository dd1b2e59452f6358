/**
 * What a page watches: a subscription for each id or selector, and a seat in it for each handle.
 *
 * Pure: what is to be sent for it is the connection's affair.
 */

import { EVERYTHING, hasEnded, isEnd, selects } from "./protocol.js";

/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/** Progress a second that a sidecar tells at the most: what those want who do not say. */
export const FASTEST = 1_000;

/**
 * @typedef {object} Watcher Who sits in a seat.
 * @property {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} take Something
 *   happened; it was before the watcher began where it is replayed.
 * @property {(operation: Operation) => void} change More is known of an operation.
 * @property {(id?: string) => void} begin What there is to know at first is known.
 * @property {(error: Error, id?: string) => void} refuse It may not watch, or not any more.
 */

/** One handle's place in a subscription. */
export class Seat {
  /** The line that was asked to let it begin. @type {object | null} */
  asked = null;
  /** What comes from now on is for it. */
  begun = false;
  /** It was asked for a second time, with a new token. */
  again = false;
  /** How its operation stood when it began, until it has had what made it so. @type {Operation | null} */
  behind = null;

  /**
   * Ids of events that came for it and were known to others; null when it is level with them.
   * @type {Set<string> | null}
   */
  #caught = new Set();

  /**
   * @param {Watcher} watcher
   * @param {TokenSource} source
   * @param {number} [rate] Progress a second and operation that are enough for it.
   */
  constructor(watcher, source, rate = FASTEST) {
    this.watcher = watcher;
    this.source = source;
    this.rate = rate;
  }

  /**
   * Whether an event that it wants was told before it began.
   *
   * @param {ProgressEvent} event
   */
  replays(event) {
    const { behind } = this;
    if (!behind) return false;
    const { event_type: type, data } = event;
    const last = event.event_id === behind.last_event_id;
    // The end of what had not ended, and a progress in the place of the last one, are news.
    const fresh =
      !last &&
      !hasEnded(behind) &&
      (isEnd(event) || (type === "progress" && data.progress !== behind.progress));
    if (last || fresh) this.behind = null;
    return !fresh;
  }

  /** Take it to be level with the others: only what is new is for it. */
  level() {
    this.#caught = null;
  }

  /**
   * Whether the event is one that its handle has not had.
   *
   * @param {ProgressEvent} event
   * @param {boolean} fresh Nobody has had it.
   */
  wants({ event_id: eventId }, fresh) {
    if (!this.begun) return false;
    if (!eventId) return true;
    // What is new to all stands behind everything that is repeated for one.
    if (fresh) this.level();
    if (fresh || !this.#caught) return fresh;
    const wanted = !this.#caught.has(eventId);
    this.#caught.add(eventId);
    return wanted;
  }
}

/** All who watch the same. */
export class Subscription {
  /** @type {Set<Seat>} */
  seats = new Set();
  /** @type {Map<string, Operation>} */
  operations = new Map();

  /**
   * @param {Record<string, string>} fields What `subscribe` says.
   * @param {number} limit Operations that it keeps.
   */
  constructor(fields, limit) {
    this.fields = fields;
    this.limit = limit;
    const id = fields.operation_id;
    /** The operation's id, or undefined where it is a selector's. */
    this.id = id === EVERYTHING ? undefined : id;
  }

  /** Whether somebody is told what is known already. */
  get replaying() {
    return [...this.seats].some((seat) => seat.behind);
  }

  /** @param {Operation} operation */
  selects(operation) {
    return this.operations.has(operation.operation_id) || selects(this.fields, operation);
  }

  /**
   * @param {Operation} operation
   */
  keep(operation) {
    this.operations.set(operation.operation_id, operation);
    // A tenth more than needed, so that they are not walked each time.
    if (this.operations.size > this.limit * 1.1) this.#shrink();
  }

  #shrink() {
    for (const [id, operation] of this.operations) {
      if (this.operations.size <= this.limit) return;
      if (hasEnded(operation)) this.operations.delete(id);
    }
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation How it stands after the event.
   * @param {boolean} fresh Nobody has had it.
   */
  deliver(event, operation, fresh) {
    for (const seat of [...this.seats]) {
      if (seat.wants(event, fresh)) seat.watcher.take(event, operation, seat.replays(event));
    }
  }

  /** @param {Operation} operation */
  change(operation) {
    for (const seat of [...this.seats]) {
      if (seat.begun) seat.watcher.change(operation);
    }
  }
}
