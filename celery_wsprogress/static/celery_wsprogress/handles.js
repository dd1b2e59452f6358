/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */

import { isEnd, OperationError } from "./protocol.js";

/** @import { Connection } from "./connection.js" */
/** @import { Operation, ProgressEvent, Selector } from "./protocol.js" */
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
 * @typedef {Handlers & { signal?: AbortSignal }} WatchOptions
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

/** What all handles can do. */
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
    const { signal } = options;
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
    const { operations, leave } = connection.subscribe(fields, this, source, limit);
    this.#leave.push(leave);
    return operations;
  }

  /** */
  begin() {
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
   * @param {string} [id]
   */
  refuse(error, id) {
    if (this.closed) return;
    this.error = error;
    this.#ready.promise.catch(() => {});
    this.#ready.reject(error);
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

/** One operation. */
export class Watch extends Handle {
  /** What the operation gave, once it is known. @type {unknown} */
  result = undefined;

  /** The result; rejects with an OperationError where there is none. @type {Promise<any>} */
  done;

  #operations;
  #over = false;
  /** @type {PromiseWithResolvers<unknown>} */
  #done = withResolvers();

  /**
   * @param {Desk} desk
   * @param {string} id
   * @param {WatchOptions} options
   */
  constructor(desk, id, options) {
    super(desk, options);
    this.id = id;
    this.done = this.#done.promise;
    // Not everybody waits for it.
    this.done.catch(() => {});
    this.#operations = this.subscribe({ operation_id: id });
  }

  /** How it stands; null where nobody has heard of it. @returns {Operation | null} */
  get operation() {
    return this.#operations.get(this.id) ?? null;
  }

  /** Whether its end was seen. */
  get over() {
    return this.#over;
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  take(event, operation) {
    if (event.event_type === "result") this.result = event.data.result;
    this.#over = isEnd(event) || (this.#over && event.event_type !== "status");
    if (event.event_type === "completed") this.#done.resolve(this.result);
    if (event.event_type === "error") this.#done.reject(new OperationError(event));
    super.take(event, operation);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   */
  refuse(error, id) {
    this.#done.reject(error);
    super.refuse(error, id);
  }

  /** @param {unknown} [reason] */
  close(reason = new DOMException("no longer watched", "AbortError")) {
    this.#done.reject(reason);
    super.close(reason);
  }
}

/** Several operations. */
export class WatchMany extends Handle {
  /** How each of them ended, by id. @type {Map<string, PromiseSettledResult<unknown>>} */
  results = new Map();

  /** Resolves with `results` when all have ended. @type {Promise<Map<string, PromiseSettledResult<unknown>>>} */
  done;

  /** @type {Map<string, Map<string, Operation>>} */
  #operations = new Map();
  /** @type {Map<string, unknown>} */
  #values = new Map();
  /** @type {PromiseWithResolvers<Map<string, PromiseSettledResult<unknown>>>} */
  #done = withResolvers();

  /**
   * @param {Desk} desk
   * @param {Iterable<string>} ids
   * @param {WatchOptions} options
   */
  constructor(desk, ids, options) {
    super(desk, options);
    this.ids = [...new Set(ids)];
    this.done = this.#done.promise;
    this.done.catch(() => {});
    for (const id of this.ids) this.#operations.set(id, this.subscribe({ operation_id: id }));
    this.#check();
  }

  /** How those stand that somebody has heard of, by id. @returns {Map<string, Operation>} */
  get operations() {
    /** @type {Map<string, Operation>} */
    const known = new Map();
    for (const [id, operations] of this.#operations) {
      const operation = operations.get(id);
      if (operation) known.set(id, operation);
    }
    return known;
  }

  /** Whether all their ends were seen. */
  get over() {
    return this.results.size === this.ids.length;
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  take(event, operation) {
    const { event_type: type, operation_id: id } = event;
    if (type === "result") this.#values.set(id, event.data.result);
    if (type === "completed") {
      this.results.set(id, { status: "fulfilled", value: this.#values.get(id) });
    }
    if (type === "error") {
      this.results.set(id, { status: "rejected", reason: new OperationError(event) });
    }
    this.#check();
    super.take(event, operation);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   */
  refuse(error, id) {
    for (const one of id === undefined ? this.ids : [id]) {
      if (!this.results.has(one)) this.results.set(one, { status: "rejected", reason: error });
    }
    this.#check();
    super.refuse(error, id);
  }

  #check() {
    if (this.over) this.#done.resolve(this.results);
  }

  /** @param {unknown} [reason] */
  close(reason = new DOMException("no longer watched", "AbortError")) {
    this.#done.reject(reason);
    super.close(reason);
  }
}

/** Every operation of a kind. */
export class Monitor extends Handle {
  /** How they stand, by id: those that began first come first. @type {Map<string, Operation>} */
  operations;

  /**
   * @param {Desk} desk
   * @param {Record<string, string>} fields
   * @param {MonitorOptions} options
   */
  constructor(desk, fields, { limit = 1_000, ...options }) {
    super(desk, options);
    this.operations = this.subscribe(fields, limit);
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
function withResolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
