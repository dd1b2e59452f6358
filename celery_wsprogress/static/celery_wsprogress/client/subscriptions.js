/**
 * Subscriptions: one for each id or selector, with one listener for each handle.
 *
 * Pure: `subscription_manager.js` sends the commands.
 */

import { hasEnded, isEnd } from "./protocol.js";
import { EVERYTHING, selects } from "./selectors.js";

/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/** Progress events per second of a listener without `max_rate`: more than a sidecar sends. */
export const NO_RATE_LIMIT = 1_000;

/**
 * @typedef {object} Subscriber The receiver of events; a handle.
 * @property {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} deliver An
 *   event; replayed if it is from before the watch began.
 * @property {(operation: Operation) => void} update A new snapshot.
 * @property {(id?: string) => void} markReady The first snapshots are known.
 * @property {(error: Error, id?: string) => void} reject The watch was rejected.
 * @property {(id: string) => boolean} [covers] Whether it knows that its selector covers an
 *   operation. Events do not tell which workflows a task is in.
 */

/**
 * Return the key of a subscription.
 *
 * @param {Record<string, string>} fields The fields of the `subscribe` command.
 */
export function subscriptionKey(fields) {
  return JSON.stringify(fields);
}

/** One handle in a subscription. */
export class Listener {
  /** The socket on which its `subscribe` was sent. @type {object | null} */
  socket = null;
  /** Whether its `subscribe` was answered. */
  active = false;
  /** Whether `subscribe` was sent again with a new token. */
  retried = false;
  /**
   * The snapshot of the reply, until the last event that it includes has been replayed.
   * @type {Operation | null}
   */
  replay = null;

  /**
   * Ids of the events replayed for this listener that other listeners had before; null after the
   * first new event.
   * @type {Set<string> | null}
   */
  #replayedIds = new Set();

  /**
   * @param {Subscriber} handle
   * @param {TokenSource} source
   * @param {number} [rate] Maximum number of progress events per second and operation.
   */
  constructor(handle, source, rate = NO_RATE_LIMIT) {
    this.handle = handle;
    this.source = source;
    this.rate = rate;
  }

  /**
   * Return whether an event is from before the listener was active.
   *
   * @param {ProgressEvent} event
   */
  isReplay(event) {
    const { replay } = this;
    if (!replay) return false;
    const { event_type: type, data } = event;
    const last = event.event_id === replay.last_event_id;
    // History keeps only the latest progress, which may be newer than the snapshot: then it is new,
    // as is the end of an operation that had not ended.
    const fresh =
      !last &&
      !hasEnded(replay) &&
      (isEnd(event) || (type === "progress" && data.progress !== replay.progress));
    if (last || fresh) this.replay = null;
    return !fresh;
  }

  /**
   * Return whether its `subscribe` is still to be sent on a socket that has accepted its token.
   *
   * @param {object} socket
   */
  canSubscribe(socket) {
    return !this.active && this.socket !== socket && this.source.socket === socket;
  }

  /** Accept only new events from now on. */
  catchUp() {
    this.#replayedIds = null;
  }

  /**
   * Return whether the handle has not had the event.
   *
   * @param {ProgressEvent} event
   * @param {boolean} fresh No listener has had it.
   */
  accepts({ event_id: eventId }, fresh) {
    if (!this.active) return false;
    if (!eventId) return true;
    // A new event comes after all that is replayed for one listener.
    if (fresh) this.catchUp();
    if (fresh || !this.#replayedIds) return fresh;
    const wanted = !this.#replayedIds.has(eventId);
    this.#replayedIds.add(eventId);
    return wanted;
  }
}

/** The listeners of one id or selector, and its snapshots. */
export class Subscription {
  /** @type {Set<Listener>} */
  listeners = new Set();
  /** @type {Map<string, Operation>} */
  operations = new Map();

  /**
   * @param {Record<string, string>} fields The fields of the `subscribe` command.
   * @param {number} limit Number of operations to keep.
   */
  constructor(fields, limit) {
    this.fields = fields;
    this.key = subscriptionKey(fields);
    this.limit = limit;
    const id = fields.operation_id;
    /** The operation id; undefined for a selector. */
    this.id = id === EVERYTHING ? undefined : id;
  }

  /** Whether a run is being replayed for a listener. */
  get replaying() {
    return [...this.listeners].some((listener) => listener.replay);
  }

  /**
   * Return whether the token of a listener is from this source.
   *
   * @param {TokenSource} source
   */
  hasToken(source) {
    return [...this.listeners].some((listener) => listener.source === source);
  }

  /** @param {Operation} operation */
  selects(operation) {
    const { operation_id: id } = operation;
    if (this.operations.has(id) || selects(this.fields, operation)) return true;
    return [...this.listeners].some((listener) => listener.handle.covers?.(id));
  }

  /**
   * @param {Operation} operation
   */
  keep(operation) {
    this.operations.set(operation.operation_id, operation);
    // A tenth more than the limit, so that the map is not searched at each new operation.
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
   * @param {Operation} operation The snapshot after the event.
   * @param {boolean} fresh No listener has had it.
   */
  deliver(event, operation, fresh) {
    for (const listener of [...this.listeners]) {
      if (listener.accepts(event, fresh)) {
        listener.handle.deliver(event, operation, listener.isReplay(event));
      }
    }
  }

  /** @param {Operation} operation */
  update(operation) {
    for (const listener of [...this.listeners]) {
      if (listener.active) listener.handle.update(operation);
    }
  }
}

/**
 * Return the highest `max_rate` of the listeners of some subscriptions; undefined without any.
 *
 * @param {Iterable<Subscription>} subscriptions
 * @param {Listener} [joining] A listener that is not active yet.
 */
export function highestRate(subscriptions, joining) {
  const rates = [...subscriptions]
    .flatMap((one) => [...one.listeners])
    .filter((one) => one.active || one === joining)
    .map((one) => one.rate);
  return rates.length ? Math.max(...rates) : undefined;
}
