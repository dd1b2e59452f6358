/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */

import { Handle, withResolvers } from "./handle.js";
import { isEnd, OperationError } from "./protocol.js";

/** @import { Desk, MonitorOptions, Settling, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

/** Operations by their ids, on the way to their ends. */
class Watched extends Handle {
  /** How each of them ended, by id. @type {Map<string, PromiseSettledResult<unknown>>} */
  results = new Map();

  /** Settles when all have ended. @type {Settling} */
  ended = withResolvers();
  /** What they gave. @type {Map<string, unknown>} */
  values = new Map();

  /** Of each id those that there are: one, or none. @type {Map<string, Operation>[]} */
  #operations;
  /** Those of which nothing is known yet. @type {Set<string>} */
  #coming;

  /**
   * @param {Desk} desk
   * @param {Iterable<string>} ids
   * @param {WatchOptions} options
   */
  constructor(desk, ids, options) {
    super(desk, options);
    this.ids = [...new Set(ids)];
    this.#operations = this.ids.map((id) => this.subscribe({ operation_id: id }));
    this.#coming = new Set(this.ids);
    if (this.over) this.ended.resolve(this.results);
    this.begin();
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
  take(event, operation, replayed) {
    const { event_type: type, operation_id: id } = event;
    if (type === "result") this.values.set(id, event.data.result);
    // It runs again.
    if (type === "status") this.results.delete(id);
    if (type === "completed") this.#end(id, { status: "fulfilled", value: this.values.get(id) });
    if (type === "error") this.#end(id, { status: "rejected", reason: new OperationError(event) });
    super.take(event, operation, replayed);
    if (isEnd(event)) this.letGo(id);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   * @param {boolean} [whole]
   */
  refuse(error, id, whole = id === undefined) {
    for (const one of id === undefined ? this.ids : [id]) {
      this.#coming.delete(one);
      if (!this.results.has(one)) this.#end(one, { status: "rejected", reason: error });
    }
    super.refuse(error, id, whole);
    this.begin();
  }

  /** @param {string} [id] */
  begin(id = "") {
    this.#coming.delete(id);
    if (!this.#coming.size) super.begin();
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
export class Watch extends Watched {
  /** The result; rejects with an OperationError where there is none. @type {Promise<any>} */
  done;

  /**
   * @param {Desk} desk
   * @param {string} id
   * @param {WatchOptions} options
   */
  constructor(desk, id, options) {
    super(desk, [id], options);
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
  refuse(error, id) {
    super.refuse(error, id, true);
  }
}

/** Several operations. */
export class WatchMany extends Watched {
  /** Resolves with `results` when all have ended. @type {Promise<Map<string, PromiseSettledResult<unknown>>>} */
  done = this.ended.promise;
}

/** Every operation of a kind. */
export class Monitor extends Handle {
  /** How they stand, by id, in no order. @type {Map<string, Operation>} */
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
