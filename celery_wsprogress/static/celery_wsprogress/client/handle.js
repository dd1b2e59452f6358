/**
 * The base of all handles: observers, event handlers, iteration, closing. Created by `client.js`;
 * the subscription manager delivers events to it.
 */

import { callSafely } from "./callbacks.js";
import { withResolvers } from "./deferred.js";

/** @import { Connection } from "./connection.js" */
/** @import { Deferred } from "./deferred.js" */
/** @import { EventOf, EventType } from "./events.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/**
 * @template {EventType} Type
 * @typedef {(event: EventOf<Type>, operation: Operation, replayed: boolean) => void} EventHandler
 *   Receives an event, the snapshot after it, and whether the event is from before the watch began.
 */

/**
 * @typedef {object} Handlers
 * @property {EventHandler<"progress">} [onProgress]
 * @property {EventHandler<"status">} [onStatus]
 * @property {EventHandler<"log">} [onLog]
 * @property {EventHandler<"chunk">} [onChunk]
 * @property {EventHandler<"result">} [onResult]
 * @property {EventHandler<"completed">} [onCompleted]
 * @property {EventHandler<"error">} [onError] The operation failed or was cancelled.
 * @property {(operation: Operation, event: ProgressEvent | null, replayed: boolean) => void}
 *   [onChange] Called for any change; the event is null if a snapshot brought the change.
 * @property {(error: Error, id?: string) => void} [onRefused] The watch was rejected, or the
 *   connection is closed for good.
 *
 * @typedef {Handlers & { signal?: AbortSignal, max_rate?: number, stay?: boolean }} WatchOptions
 *   `max_rate` is the maximum number of progress events per second and operation, 0.01 or more;
 *   the highest one on the page for the same operation counts for all. `stay` keeps watching after
 *   the end, for operations that run again.
 *
 * @typedef {WatchOptions & { limit?: number, covers?: (id: string) => boolean }} MonitorOptions
 *   `limit` is the number of operations to list and keep, 1,000 by default; beyond it those that
 *   ended first are dropped. `covers` tells of an operation that the selector covers it, for
 *   `steps_of`: where nobody knows that yet, the snapshot is fetched.
 *
 * @typedef {{ connection: Connection, source: TokenSource, handles: Set<Handle> }} HandleContext
 *   The client that owns a handle.
 */

/** Maximum number of events that wait for an iterator; the oldest are dropped. */
const MAX_QUEUED_EVENTS = 1_000;

/** One event listener per signal, whatever the number of handles: Node warns of more than ten. */
/** @type {WeakMap<AbortSignal, Set<() => void>>} */
const abortListeners = new WeakMap();

/** The base class of `Watch`, `WatchMany` and `Monitor`. */
export class Handle {
  /** The reason why the handle was rejected. @type {Error | null} */
  error = null;
  closed = false;
  /** The number of events that were dropped because the iterator was too slow. */
  missed = 0;

  /** Resolves when the first snapshots are known; rejects when the watch is rejected. */
  ready;

  #context;
  #options;
  /** @type {Deferred} */
  #ready = withResolvers();
  /** @type {Set<() => void>} */
  #observers = new Set();
  /** @type {Set<ProgressEvent[]>} */
  #queues = new Set();
  /** By operation id; undefined for a selector. @type {Map<string | undefined, () => void>} */
  #unsubscribers = new Map();
  #isReady = false;
  /** The functions to call when the signal aborts. @type {Set<() => void> | undefined} */
  #abortSet;
  #abort = () => this.close(this.#options.signal?.reason);

  /**
   * @param {HandleContext} context
   * @param {WatchOptions} options
   */
  constructor(context, options) {
    this.#context = context;
    this.#options = options;
    this.ready = this.#ready.promise;
    const { signal, max_rate: rate = 1 } = options;
    // The sidecar takes no lower rate.
    if (!(rate >= 0.01)) throw new RangeError("`max_rate` is 0.01 or more");
    context.handles.add(this);
    if (!signal) return;
    this.#abortSet = abortSetOf(signal).add(this.#abort);
    // After the constructor has returned.
    if (signal.aborted) queueMicrotask(this.#abort);
  }

  /**
   * Call a function after each change.
   *
   * @param {() => void} observer
   * @returns {() => void} Stops the calls.
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * Stop watching.
   *
   * @param {unknown} [_reason] The reason; by default an AbortError.
   */
  close(_reason) {
    if (this.closed) return;
    this.closed = true;
    this.#abortSet?.delete(this.#abort);
    for (const unsubscribe of this.#unsubscribers.values()) unsubscribe();
    this.#context.handles.delete(this);
    this.#ready.resolve();
    this.notify();
  }

  /**
   * Iterate the events, from the start of the run to the end of the last operation.
   *
   * @returns {AsyncGenerator<ProgressEvent, void, void>}
   */
  [Symbol.asyncIterator]() {
    /** @type {any} */
    const { constructor: Same, ids, id = ids } = this;
    if (!id || !this.#isReady || (this.closed && !this.over)) return this.#iterate();
    // Events were delivered already: a new handle replays them.
    const { signal, max_rate } = this.#options;
    const again = new Same(this.#context, id, { signal, max_rate });
    return again.#iterate(again);
  }

  /**
   * Queue an event for an iterator; a progress replaces the one before it.
   *
   * @param {ProgressEvent[]} queue
   * @param {ProgressEvent} event
   */
  #enqueue(queue, event) {
    const last = queue.at(-1);
    const same = last?.event_type === event.event_type && last.operation_id === event.operation_id;
    if (same && event.event_type === "progress") queue.pop();
    queue.push(event);
    if (queue.length <= MAX_QUEUED_EVENTS) return;
    queue.shift();
    this.missed++;
  }

  /**
   * @param {Handle} [own] The handle to close after the iteration.
   * @returns {AsyncGenerator<ProgressEvent, void, void>}
   */
  async *#iterate(own) {
    /** @type {ProgressEvent[]} */
    const queue = [];
    this.#queues.add(queue);
    try {
      for (;;) {
        yield* queue.splice(0);
        if (queue.length) continue;
        if (this.error) throw this.error;
        if (this.closed || this.over) return;
        await new Promise((/** @type {(_: void) => void} */ resolve) => {
          const stop = this.observe(() => resolve(void stop()));
        });
      }
    } finally {
      this.#queues.delete(queue);
      own?.close();
    }
  }

  /** Whether all operations have ended. */
  get over() {
    return false;
  }

  // Called by the subscription manager.

  /**
   * @param {Record<string, string>} fields
   * @param {number} limit
   * @returns {Map<string, Operation>}
   */
  subscribe(fields, limit = Infinity) {
    const { connection, source } = this.#context;
    const { max_rate: rate } = this.#options;
    const { operations, unsubscribe } = connection.subscriptions.subscribe(
      fields,
      this,
      source,
      limit,
      rate,
    );
    this.#unsubscribers.set(fields.operation_id, unsubscribe);
    return operations;
  }

  /**
   * Unsubscribe from an operation that has ended, unless `stay` is set.
   *
   * @param {string} id
   */
  release(id) {
    if (this.#options.stay) return;
    this.#unsubscribers.get(id)?.();
    if (this.over) this.close();
  }

  /** @param {string} [_id] The operation that is ready, for a handle of several. */
  markReady(_id) {
    this.#isReady = true;
    this.#ready.resolve();
    this.notify();
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   * @param {boolean} replayed
   */
  deliver(event, operation, replayed) {
    for (const queue of this.#queues) this.#enqueue(queue, event);
    const name = event.event_type.replace(/^./, (first) => `on${first.toUpperCase()}`);
    /** @type {any} */
    const handlers = this.#options;
    callSafely(() => handlers[name]?.(event, operation, replayed));
    callSafely(() => handlers.onChange?.(operation, event, replayed));
    this.notify();
  }

  /** @param {Operation} operation */
  update(operation) {
    callSafely(() => this.#options.onChange?.(operation, null, true));
    this.notify();
  }

  /**
   * @param {Error} error
   * @param {string} [id] The operation, for a handle of several.
   * @param {boolean} [whole] The handle has no other operation.
   */
  reject(error, id, whole = true) {
    if (this.closed) return;
    if (whole) {
      this.error = error;
      this.#ready.reject(error);
    }
    callSafely(() => this.#options.onRefused?.(error, id));
    this.notify();
  }

  /** Call the observers. */
  notify() {
    for (const observer of [...this.#observers]) callSafely(observer);
  }
}

/**
 * Return the functions to call when a signal aborts.
 *
 * @param {AbortSignal} signal
 */
function abortSetOf(signal) {
  const known = abortListeners.get(signal);
  if (known) return known;
  const callbacks = new Set();
  abortListeners.set(signal, callbacks);
  signal.addEventListener("abort", () => callbacks.forEach((callback) => callback()));
  return callbacks;
}
