/**
 * What all handles can do: tell what happens, be iterated, and be closed.
 */

/** @import { Connection } from "./connection.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */

/**
 * @typedef {(event: ProgressEvent, operation: Operation) => void} EventHandler
 *   Gets an event, and the operation as it stands after it.
 *
 * @typedef {object} Handlers
 * @property {EventHandler} [onProgress]
 * @property {EventHandler} [onStatus]
 * @property {EventHandler} [onLog]
 * @property {EventHandler} [onChunk]
 * @property {EventHandler} [onResult]
 * @property {EventHandler} [onCompleted]
 * @property {EventHandler} [onError] The operation failed or was cancelled.
 * @property {(operation: Operation, event: ProgressEvent | null) => void} [onChange] Anything is
 *   different; the event is null where it was a snapshot that said it.
 * @property {(error: Error, id?: string) => void} [onRefused] It may not be watched, or the
 *   connection is over for good.
 *
 * @typedef {Handlers & { signal?: AbortSignal, max_rate?: number }} WatchOptions `max_rate` is how
 *   often a second progress of an operation is told, at the most: 0.01 or more. Whoever else on the
 *   page wants the same more often has it so for all.
 *
 * @typedef {WatchOptions & { limit?: number }} MonitorOptions `limit` is how many operations are
 *   listed and kept, 1,000 where it is not given; beyond it those that ended first are let go.
 *
 * @typedef {{ connection: Connection, source: TokenSource, onClose: (handle: Handle) => void }} Desk
 *   Of whom a handle is.
 */

/** @type {Record<string, Exclude<keyof Handlers, "onChange" | "onRefused">>} */
const HANDLER_OF = {
  progress: "onProgress",
  status: "onStatus",
  log: "onLog",
  chunk: "onChunk",
  result: "onResult",
  completed: "onCompleted",
  error: "onError",
};

/** Progress a second that a sidecar tells at the least. */
const SLOWEST = 0.01;

/** What somebody watches by. */
export class Handle {
  /** Why nothing more comes, where it should. @type {Error | null} */
  error = null;
  closed = false;

  /** Resolves when what there is to know at first is known; rejects where it may not be. */
  ready;

  #desk;
  #options;
  /** @type {PromiseWithResolvers<void>} */
  #ready = withResolvers();
  /** @type {Set<() => void>} */
  #observers = new Set();
  /** @type {Set<ProgressEvent[]>} */
  #queues = new Set();
  /** @type {(() => void)[]} */
  #leave = [];
  #abort = () => this.close(this.#options.signal?.reason);

  /**
   * @param {Desk} desk
   * @param {WatchOptions} options
   */
  constructor(desk, options) {
    this.#desk = desk;
    this.#options = options;
    this.ready = this.#ready.promise;
    const { signal, max_rate: rate = SLOWEST } = options;
    if (!(rate >= SLOWEST)) throw new RangeError(`\`max_rate\` is ${SLOWEST} or more`);
    signal?.addEventListener("abort", this.#abort);
    // Whoever made it is to have it first.
    if (signal?.aborted) queueMicrotask(this.#abort);
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
    this.#options.signal?.removeEventListener("abort", this.#abort);
    for (const leave of this.#leave) leave();
    this.#desk.onClose(this);
    this.#ready.resolve();
    this.notify();
  }

  /**
   * The events as they come: of an operation until its end, of several until that of the last.
   *
   * @returns {AsyncGenerator<ProgressEvent, void, void>}
   */
  async *[Symbol.asyncIterator]() {
    /** @type {ProgressEvent[]} */
    const queue = [];
    this.#queues.add(queue);
    try {
      for (;;) {
        for (const event of queue.splice(0)) yield event;
        if (queue.length) continue;
        if (this.error) throw this.error;
        if (this.closed || this.over) return;
        await new Promise((/** @type {(_: void) => void} */ resolve) => {
          const stop = this.observe(() => resolve(void stop()));
        });
      }
    } finally {
      this.#queues.delete(queue);
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
    const { connection, source } = this.#desk;
    const { max_rate: rate } = this.#options;
    const { operations, leave } = connection.watching.subscribe(fields, this, source, limit, rate);
    this.#leave.push(leave);
    return operations;
  }

  /** @param {string} [_id] Of which operation, where there are several. */
  begin(_id) {
    this.#ready.resolve();
    this.notify();
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  take(event, operation) {
    for (const queue of this.#queues) enqueue(queue, event);
    const handler = HANDLER_OF[event.event_type];
    if (handler) this.call(() => this.#options[handler]?.(event, operation));
    this.call(() => this.#options.onChange?.(operation, event));
    this.notify();
  }

  /** @param {Operation} operation */
  change(operation) {
    this.call(() => this.#options.onChange?.(operation, null));
    this.notify();
  }

  /**
   * @param {Error} error
   * @param {string} [id] Of which operation, where there are several.
   * @param {boolean} [whole] Nothing is left to watch.
   */
  refuse(error, id, whole = true) {
    if (this.closed) return;
    if (whole) {
      this.error = error;
      this.#ready.promise.catch(() => {});
      this.#ready.reject(error);
    }
    this.call(() => this.#options.onRefused?.(error, id));
    this.notify();
  }

  /** */
  notify() {
    for (const observer of [...this.#observers]) this.call(observer);
  }

  /**
   * Call what is somebody else's: it may fail, and that is no reason for the others to.
   *
   * @param {() => void} other
   */
  call(other) {
    try {
      other();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/**
 * Add an event that waits to be taken; of progress only the latest waits.
 *
 * @param {ProgressEvent[]} queue
 * @param {ProgressEvent} event
 */
function enqueue(queue, event) {
  const last = queue.at(-1);
  const replaced =
    event.event_type === "progress" &&
    last?.event_type === "progress" &&
    last.operation_id === event.operation_id;
  if (replaced) queue.pop();
  queue.push(event);
}

/**
 * A promise and what settles it.
 *
 * @template T
 * @returns {PromiseWithResolvers<T>}
 */
export function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
