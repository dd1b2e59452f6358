/**
 * What all handles can do: tell what happens, be iterated, and be closed.
 */

/** @import { Connection } from "./connection.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/**
 * @typedef {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} EventHandler
 *   Gets an event, the operation as it stands after it, and whether that was so before it was
 *   watched.
 *
 * @typedef {object} Handlers
 * @property {EventHandler} [onProgress]
 * @property {EventHandler} [onStatus]
 * @property {EventHandler} [onLog]
 * @property {EventHandler} [onChunk]
 * @property {EventHandler} [onResult]
 * @property {EventHandler} [onCompleted]
 * @property {EventHandler} [onError] The operation failed or was cancelled.
 * @property {(operation: Operation, event: ProgressEvent | null, replayed: boolean) => void}
 *   [onChange] Anything is different; the event is null where it was a snapshot that said it.
 * @property {(error: Error, id?: string) => void} [onRefused] It may not be watched, or the
 *   connection is over for good.
 *
 * @typedef {Handlers & { signal?: AbortSignal, max_rate?: number, stay?: boolean }} WatchOptions
 *   `max_rate` is how often a second progress of an operation is told, at the most: 0.01 or more.
 *   Whoever else on the page wants the same more often has it so for all. `stay` is to watch on
 *   behind the end, for operations that run again; else what has ended is let go.
 *
 * @typedef {WatchOptions & { limit?: number }} MonitorOptions `limit` is how many operations are
 *   listed and kept, 1,000 where it is not given; beyond it those that ended first are let go.
 *
 * @typedef {{ connection: Connection, source: TokenSource, handles: Set<Handle> }} HandleContext Of whom a
 *   handle is.
 *
 * @typedef {object} Deferred A promise, and what settles it.
 * @property {Promise<any>} promise
 * @property {(value?: any) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/** Events that wait to be iterated; of more, the first are let go. */
const MAX_QUEUED_EVENTS = 1_000;

/** One listener for each signal, however many wait for it: Node warns of eleven. */
/** @type {WeakMap<AbortSignal, Set<() => void>>} */
const abortListeners = new WeakMap();

/** What somebody watches by. */
export class Handle {
  /** Why nothing more comes, where it should. @type {Error | null} */
  error = null;
  closed = false;
  /** Events that were let go because whoever iterates did not take them in time. */
  missed = 0;

  /** Resolves when what there is to know at first is known; rejects where it may not be. */
  ready;

  #context;
  #options;
  /** @type {Deferred} */
  #ready = withResolvers();
  /** @type {Set<() => void>} */
  #observers = new Set();
  /** @type {Set<ProgressEvent[]>} */
  #queues = new Set();
  /** By the id, where there is one. @type {Map<string | undefined, () => void>} */
  #unsubscribers = new Map();
  #isReady = false;
  /** Who waits for its signal. @type {Set<() => void> | undefined} */
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
    // A sidecar tells it as often, at the least.
    if (!(rate >= 0.01)) throw new RangeError("`max_rate` is 0.01 or more");
    context.handles.add(this);
    if (!signal) return;
    this.#abortSet = abortSetOf(signal).add(this.#abort);
    // Whoever made it is to have it first.
    if (signal.aborted) queueMicrotask(this.#abort);
  }

  /**
   * Call a function whenever something is different.
   *
   * @param {() => void} observer
   * @returns {() => void} Stop calling it.
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * Watch no more.
   *
   * @param {unknown} [_reason] Why; an AbortError where it is not said.
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
   * The events as they come: of an operation from the start of its run until its end, of several
   * until that of the last.
   *
   * @returns {AsyncGenerator<ProgressEvent, void, void>}
   */
  [Symbol.asyncIterator]() {
    /** @type {any} */
    const { constructor: Same, ids, id = ids } = this;
    if (!id || !this.#isReady || (this.closed && !this.over)) return this.#iterate();
    // What was told already is told again.
    const { signal, max_rate } = this.#options;
    const again = new Same(this.#context, id, { signal, max_rate });
    return again.#iterate(again);
  }

  /**
   * Add an event to those that wait to be iterated; of progress only the latest waits.
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
   * @param {Handle} [own] What is closed with the iteration.
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

  /** Whether everything that it watches has come to its end. */
  get over() {
    return false;
  }

  // What the connection does.

  /**
   * @param {Record<string, string>} fields
   * @param {number} limit
   * @returns {Map<string, Operation>}
   */
  subscribe(fields, limit = Infinity) {
    const { connection, source } = this.#context;
    const { max_rate: rate } = this.#options;
    const { operations, unsubscribe } = connection.subscriptions.subscribe(fields, this, source, limit, rate);
    this.#unsubscribers.set(fields.operation_id, unsubscribe);
    return operations;
  }

  /**
   * Let go of one that has ended, unless it is to be watched on.
   *
   * @param {string} id
   */
  release(id) {
    if (this.#options.stay) return;
    this.#unsubscribers.get(id)?.();
    if (this.over) this.close();
  }

  /** @param {string} [_id] Of which operation, where there are several. */
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
   * @param {string} [id] Of which operation, where there are several.
   * @param {boolean} [whole] Nothing is left to watch.
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

  /** */
  notify() {
    for (const observer of [...this.#observers]) callSafely(observer);
  }
}

/**
 * Who waits for a signal.
 *
 * @param {AbortSignal} signal
 */
function abortSetOf(signal) {
  let waiting = abortListeners.get(signal);
  if (!waiting) {
    const all = new Set();
    abortListeners.set(signal, (waiting = all));
    signal.addEventListener("abort", () => all.forEach((call) => call()));
  }
  return waiting;
}

/**
 * Call what is somebody else's: it may fail, and that is no reason for the others to.
 *
 * @param {() => void} other
 */
export function callSafely(other) {
  try {
    other();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * A promise and what settles it.
 *
 * @returns {Deferred}
 */
export function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  // Not everybody waits for it.
  made.promise.catch(() => {});
  return made;
}
