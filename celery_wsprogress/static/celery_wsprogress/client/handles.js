/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */

import { Handle, withResolvers } from "./handle.js";
import { isEnd, OperationError } from "./protocol.js";

/** @import { HandleContext, MonitorOptions, Deferred, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

/** Operations by their ids, on the way to their ends. */
class IdHandle extends Handle {
  /** How each of them ended, by id. @type {Map<string, PromiseSettledResult<unknown>>} */
  results = new Map();

  /** Settles when all have ended. @type {Deferred} */
  ended = withResolvers();
  /** What they gave. @type {Map<string, unknown>} */
  values = new Map();

  /** Of each id those that there are: one, or none. @type {Map<string, Operation>[]} */
  #operations;
  /** Those of which nothing is known yet. @type {Set<string>} */
  #pending;

  /**
   * @param {HandleContext} context
   * @param {Iterable<string>} ids
   * @param {WatchOptions} options
   */
  constructor(context, ids, options) {
    super(context, options);
    this.ids = [...new Set(ids)];
    this.#operations = this.ids.map((id) => this.subscribe({ operation_id: id }));
    this.#pending = new Set(this.ids);
    if (this.over) this.ended.resolve(this.results);
    this.markReady();
  }

  /** How those stand that somebody has heard of, by id. @returns {Map<string, Operation>} */
  get operations() {
    /** @type {Map<string, Operation>} */
    const known = new Map();
    for (const operations of this.#operations) for (const [id, one] of operations) known.set(id, one);
    return known;
  }

  /** Whether all their ends were seen. */
  get over() {
    return this.results.size === this.ids.length;
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   * @param {boolean} replayed
   */
  deliver(event, operation, replayed) {
    const { event_type: type, operation_id: id } = event;
    if (type === "result") this.values.set(id, event.data.result);
    // It runs again.
    if (type === "status") this.results.delete(id);
    if (type === "completed") this.#end(id, { status: "fulfilled", value: this.values.get(id) });
    if (type === "error") this.#end(id, { status: "rejected", reason: new OperationError(event) });
    super.deliver(event, operation, replayed);
    if (isEnd(event)) this.release(id);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   * @param {boolean} [whole]
   */
  reject(error, id, whole = id === undefined) {
    for (const one of id === undefined ? this.ids : [id]) {
      this.#pending.delete(one);
      if (!this.results.has(one)) this.#end(one, { status: "rejected", reason: error });
    }
    super.reject(error, id, whole);
    this.markReady();
  }

  /** @param {string} [id] */
  markReady(id = "") {
    this.#pending.delete(id);
    if (!this.#pending.size) super.markReady();
  }

  /**
   * @param {string} id
   * @param {PromiseSettledResult<unknown>} how
   */
  #end(id, how) {
    this.results.set(id, how);
    if (this.over) this.ended.resolve(this.results);
  }

  /** @param {unknown} [reason] */
  close(reason = new DOMException("no longer watched", "AbortError")) {
    this.ended.reject(reason);
    super.close();
  }
}

/** One operation. */
export class Watch extends IdHandle {
  /** The result; rejects with an OperationError where there is none. @type {Promise<any>} */
  done;

  /**
   * @param {HandleContext} context
   * @param {string} id
   * @param {WatchOptions} options
   */
  constructor(context, id, options) {
    super(context, [id], options);
    this.id = id;
    this.done = this.ended.promise.then((results) => {
      const { value, reason } = results.get(id);
      if (reason) throw reason;
      return value;
    });
    this.done.catch(() => {});
  }

  /** How it stands; null where nobody has heard of it. @returns {Operation | null} */
  get operation() {
    return this.operations.get(this.id) ?? null;
  }

  /** What the operation gave, once it is known. @returns {unknown} */
  get result() {
    return this.values.get(this.id);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   */
  reject(error, id) {
    super.reject(error, id, true);
  }
}

/** Several operations. */
export class WatchMany extends IdHandle {
  /** Resolves with `results` when all have ended. @type {Promise<Map<string, PromiseSettledResult<unknown>>>} */
  done = this.ended.promise;
}

/** Every operation of a kind. */
export class Monitor extends Handle {
  /** How they stand, by id, in no order. @type {Map<string, Operation>} */
  operations;

  /**
   * @param {HandleContext} context
   * @param {Record<string, string>} fields
   * @param {MonitorOptions} options
   */
  constructor(context, fields, { limit = 1_000, ...options }) {
    super(context, options);
    this.operations = this.subscribe(fields, limit);
  }
}
