/**
 * The handles that `watch`, `watchMany` and `monitor` return.
 */

import { ChunkStream } from "./chunk_stream.js";
import { withResolvers } from "./deferred.js";
import { Handle } from "./handle.js";
import { isEnd, OperationError } from "./protocol.js";

/** @import { Deferred } from "./deferred.js" */
/** @import { HandleContext, MonitorOptions, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

/** A handle of operations by id, with their results. */
class IdHandle extends Handle {
  /**
   * The results of the operations that have ended, by id.
   * @type {Map<string, PromiseSettledResult<unknown>>}
   */
  results = new Map();

  /** Resolves when all have ended. @type {Deferred} */
  ended = withResolvers();
  /** The results of tasks, by id. @type {Map<string, unknown>} */
  values = new Map();

  /** One map per id, with one operation or none. @type {Map<string, Operation>[]} */
  #operations;
  /** Ids whose first reply has not come. @type {Set<string>} */
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

  /** The snapshots of the known operations, by id. @returns {Map<string, Operation>} */
  get operations() {
    /** @type {Map<string, Operation>} */
    const known = new Map();
    for (const operations of this.#operations) for (const [id, one] of operations) known.set(id, one);
    return known;
  }

  /** Whether all operations have ended. */
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
    // The operation runs again.
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

/** The handle of one operation. */
export class Watch extends IdHandle {
  /**
   * Resolves with the result; rejects with an OperationError if the operation failed.
   * @type {Promise<any>}
   */
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

  /** The snapshot; null if the operation is unknown. @returns {Operation | null} */
  get operation() {
    return this.operations.get(this.id) ?? null;
  }

  /** The result; undefined until it is known. @returns {unknown} */
  get result() {
    return this.values.get(this.id);
  }

  /**
   * Return a stream of the task: an async iterable of its chunks, from the first one that is held.
   *
   * @param {string} name
   * @returns {ChunkStream}
   */
  stream(name) {
    return new ChunkStream(this, name);
  }

  /**
   * @param {Error} error
   * @param {string} [id]
   */
  reject(error, id) {
    super.reject(error, id, true);
  }
}

/** The handle of several operations. */
export class WatchMany extends IdHandle {
  /**
   * Resolves with `results` when all have ended.
   * @type {Promise<Map<string, PromiseSettledResult<unknown>>>}
   */
  done = this.ended.promise;
}

/** The handle of all operations of a selector. */
export class Monitor extends Handle {
  /** The snapshots by id, in no order. @type {Map<string, Operation>} */
  operations;

  /**
   * @param {HandleContext} context
   * @param {Record<string, string>} fields
   * @param {MonitorOptions} options
   */
  constructor(context, fields, { limit = 1_000, covers, ...options }) {
    super(context, options);
    this.covers = covers;
    this.operations = this.subscribe(fields, limit);
  }
}
