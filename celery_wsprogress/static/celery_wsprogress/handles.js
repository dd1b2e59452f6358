/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */

import { Handle, withResolvers } from "./handle.js";
import { isEnd, OperationError } from "./protocol.js";

/** @import { Desk, MonitorOptions, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

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
  /** Those of which nothing is known yet. @type {Set<string>} */
  #coming = new Set();
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
    this.#coming = new Set(this.ids);
    this.#check();
    this.begin();
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
      this.#coming.delete(one);
      if (!this.results.has(one)) this.results.set(one, { status: "rejected", reason: error });
    }
    this.#check();
    super.refuse(error, id, id === undefined);
    this.begin();
  }

  /** @param {string} [id] */
  begin(id = "") {
    this.#coming.delete(id);
    if (!this.#coming.size) super.begin();
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
