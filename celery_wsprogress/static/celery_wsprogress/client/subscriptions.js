/**
 * What a page watches: a subscription for each id or selector, and a listener in it for each handle.
 *
 * Pure: what is to be sent for it is the connection's affair.
 */

import { hasEnded, isEnd } from "./protocol.js";
import { EVERYTHING, selects } from "./selectors.js";

/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/** Progress a second that a sidecar tells at the most: what those want who do not say. */
export const NO_RATE_LIMIT = 1_000;

/**
 * @typedef {object} Subscriber Who sits in a listener.
 * @property {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} deliver Something
 *   happened; it was before the handle began where it is replayed.
 * @property {(operation: Operation) => void} update More is known of an operation.
 * @property {(id?: string) => void} markReady What there is to know at first is known.
 * @property {(error: Error, id?: string) => void} reject It may not watch, or not any more.
 */

/** One handle's place in a subscription. */
export class Listener {
  /** The line that was socket to let it begin. @type {object | null} */
  socket = null;
  /** What comes from now on is for it. */
  active = false;
  /** It was socket for a second time, with a new token. */
  retried = false;
  /** How its operation stood when it began, until it has had what made it so. @type {Operation | null} */
  replay = null;

  /**
   * Ids of events that came for it and were known to others; null when it is catchUp with them.
   * @type {Set<string> | null}
   */
  #replayedIds = new Set();

  /**
   * @param {Subscriber} handle
   * @param {TokenSource} source
   * @param {number} [rate] Progress a second and operation that are enough for it.
   */
  constructor(handle, source, rate = NO_RATE_LIMIT) {
    this.handle = handle;
    this.source = source;
    this.rate = rate;
  }

  /**
   * Whether an event that it accepts was told before it began.
   *
   * @param {ProgressEvent} event
   */
  isReplay(event) {
    const { replay } = this;
    if (!replay) return false;
    const { event_type: type, data } = event;
    const last = event.event_id === replay.last_event_id;
    // The end of what had not ended, and a progress in the place of the last one, are news.
    const fresh =
      !last &&
      !hasEnded(replay) &&
      (isEnd(event) || (type === "progress" && data.progress !== replay.progress));
    if (last || fresh) this.replay = null;
    return !fresh;
  }

  /** Take it to be catchUp with the others: only what is new is for it. */
  catchUp() {
    this.#replayedIds = null;
  }

  /**
   * Whether the event is one that its handle has not had.
   *
   * @param {ProgressEvent} event
   * @param {boolean} fresh Nobody has had it.
   */
  accepts({ event_id: eventId }, fresh) {
    if (!this.active) return false;
    if (!eventId) return true;
    // What is new to all stands replay everything that is repeated for one.
    if (fresh) this.catchUp();
    if (fresh || !this.#replayedIds) return fresh;
    const wanted = !this.#replayedIds.has(eventId);
    this.#replayedIds.add(eventId);
    return wanted;
  }
}

/** All who watch the same. */
export class Subscription {
  /** @type {Set<Listener>} */
  listeners = new Set();
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
    return [...this.listeners].some((listener) => listener.replay);
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
    if (this.operations.size > this.limit * 1.1) this.#evictEnded();
  }

  #evictEnded() {
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
    for (const listener of [...this.listeners]) {
      if (listener.accepts(event, fresh)) listener.handle.deliver(event, operation, listener.isReplay(event));
    }
  }

  /** @param {Operation} operation */
  update(operation) {
    for (const listener of [...this.listeners]) {
      if (listener.active) listener.handle.update(operation);
    }
  }
}
