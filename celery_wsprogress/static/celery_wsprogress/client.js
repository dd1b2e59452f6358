/**
 * Live progress of Celery tasks, in a page, a web worker, or Node.
 *
 *     const client = connect("ws://localhost:8765");
 *     const watch = client.watch(taskId, { onProgress: ({ data }) => show(data.progress) });
 *     const result = await watch.done;
 *
 * All clients of one address share one WebSocket. It reconnects by itself, and every watch
 * continues where it was: no event comes twice, and none that the sidecar still holds is missing.
 */

import { addressOf } from "./client/address.js";
import { callSafely } from "./client/callbacks.js";
import { NORMAL } from "./client/close_codes.js";
import { Connection } from "./client/connection.js";
import { Monitor, Watch, WatchMany } from "./client/handles.js";
import { PAGE_SIZE } from "./client/operation_pages.js";
import { ConnectionClosed, workflowOperationId } from "./client/protocol.js";
import { selectorFields } from "./client/selectors.js";

/** @import { ConnectionState, Loss } from "./client/connection.js" */
/** @import { HandleContext, Handle, MonitorOptions, WatchOptions } from "./client/handle.js" */
/** @import { WebSocketClass } from "./client/socket.js" */
/** @import { CancelOptions, CancelReply, Frame, Operation, ProgressEvent, Selector, TreeNode } from "./client/protocol.js" */
/** @import { GetToken } from "./client/tokens.js" */

export { CommandError, ConnectionClosed, OperationError } from "./client/protocol.js";

/**
 * @typedef {object} ConnectOptions
 * @property {string} [token] The token, if the sidecar has a key.
 * @property {GetToken} [getToken] Returns a token. Called for each connection, and again before
 *   the token in use expires.
 * @property {WebSocketClass} [WebSocket] The class to use where there is no global one, as in Node
 *   20.
 *
 * @typedef {object} ListFilter Which operations to list, the newest first.
 * @property {string} [state]
 * @property {string} [operation_type] A glob.
 * @property {string} [tag]
 * @property {string} [group_id]
 * @property {string} [root_id]
 * @property {string} [steps_of] The id of a workflow.
 * @property {number} [limit] Up to 1,000.
 * @property {string | null} [cursor] `next` of the page before.
 */

/** Milliseconds a connection outlives its last client, since the next one often follows at once. */
const CLOSE_DELAY = 100;

/** @type {Map<string, Connection>} */
const connections = new Map();

/**
 * Connect to a sidecar. An unreachable sidecar is no error: the client tries again until it
 * answers.
 *
 * @param {string | URL} url `ws://…` or `wss://…`, or the `http(s)` address of the sidecar; may be
 *   relative to the page. It must hold no token.
 * @param {ConnectOptions} [options]
 * @returns {Client}
 */
export function connect(url, options = {}) {
  const address = addressOf(url);
  const WebSocket = options.WebSocket ?? globalThis.WebSocket;
  if (!WebSocket) throw new TypeError("There is no WebSocket here: pass one as `WebSocket`");
  let connection = connections.get(address);
  if (!connection || connection.error) {
    connection = new Connection(() => new WebSocket(address));
    connections.set(address, connection);
  }
  return new Client(address, connection, options);
}

/** A client of one sidecar, with its own token and handles. */
export class Client {
  /** The reason why the client is closed for good. @type {Error | null} */
  error = null;

  #connection;
  #source;
  /** @type {Set<Handle>} */
  #handles = new Set();
  /** @type {Set<() => void>} */
  #observers = new Set();
  #observer = () => this.#notify();
  #onRefused = (/** @type {Error} */ error) => this.#fail(error);

  /**
   * @param {string} url
   * @param {Connection} connection
   * @param {ConnectOptions} options
   */
  constructor(url, connection, options) {
    this.url = url;
    this.#connection = connection;
    this.#source = connection.addClient(options, this.#onRefused);
    connection.observers.add(this.#observer);
  }

  /** @returns {ConnectionState} */
  get state() {
    return this.error ? "closed" : this.#connection.stateFor(this.#source);
  }

  /** The loss of the last connection; null while connected. @returns {Loss | null} */
  get lost() {
    return this.#connection.lost ?? this.#source.lost;
  }

  /** The features of the sidecar; empty before the first connection. @returns {string[]} */
  get features() {
    return this.welcome.features ?? [];
  }

  /** The data of the welcome frame: `server`, `limits`, … @returns {Frame} */
  get welcome() {
    return this.#connection.welcome;
  }

  /** Epoch seconds by the clock of the sidecar, as in `starts_at` and the other times. */
  get now() {
    return this.#connection.now;
  }

  /**
   * Call a function whenever the state changes.
   *
   * @param {() => void} observer
   * @returns {() => void} Stops the calls.
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * Watch one operation, from the start of its current run.
   *
   * @param {string} id The Celery task id; the id that the caller holds, of a workflow.
   * @param {WatchOptions & { workflow?: boolean }} [options] `workflow`: watch the chain, group or
   *   chord with this id as one operation. A task that is no part of one is a workflow of one step.
   * @returns {Watch}
   */
  watch(id, options = {}) {
    return new Watch(this.#context, options.workflow ? workflowOperationId(id) : id, options);
  }

  /**
   * Watch several operations.
   *
   * @param {Iterable<string>} ids
   * @param {WatchOptions} [options]
   * @returns {WatchMany}
   */
  watchMany(ids, options = {}) {
    return new WatchMany(this.#context, ids, options);
  }

  /**
   * Watch every operation, or those of a selector: their snapshots, and events from now on.
   *
   * @param {Selector} [selector]
   * @param {MonitorOptions} [options]
   * @returns {Monitor}
   */
  monitor(selector = {}, options = {}) {
    return new Monitor(this.#context, selectorFields(selector), options);
  }

  /**
   * Return a page of the operations that the sidecar holds, newest first.
   *
   * @param {ListFilter} [filter]
   * @returns {Promise<{ operations: Operation[], next: string | null }>}
   */
  async list(filter = {}) {
    return this.#request({ command: "list_operations", ...filter });
  }

  /**
   * Return the snapshot of an operation; null if the sidecar does not know it.
   *
   * @param {string} id
   * @returns {Promise<Operation | null>}
   */
  async get(id) {
    return (await this.#request({ command: "get_operation", operation_id: id })).operation;
  }

  /**
   * Return the newest events of an operation, oldest first, including those of earlier runs.
   *
   * @param {string} id
   * @param {{ limit?: number }} [options]
   * @returns {Promise<{ events: ProgressEvent[], complete: boolean }>} `complete`: no earlier
   *   event has been evicted.
   */
  async history(id, { limit } = {}) {
    return this.#request({ command: "get_history", operation_id: id, limit });
  }

  /**
   * Return the tasks of a workflow, each behind the node that contains it.
   *
   * @param {string} id The id that its caller holds.
   * @returns {Promise<{ total: number, nodes: TreeNode[] }>} `total`: of its tasks; 0 if unknown.
   */
  async tree(id) {
    /** @type {{ total: number, nodes: TreeNode[] }} */
    const tree = { total: 0, nodes: [] };
    for await (const { total, nodes } of this.treePages(id)) {
      tree.total = total;
      tree.nodes.push(...nodes);
    }
    return tree;
  }

  /**
   * Yield the same in pages, each when it comes.
   *
   * @param {string} id
   * @returns {AsyncGenerator<{ total: number, nodes: TreeNode[] }, void, void>}
   */
  async *treePages(id) {
    const command = { command: "get_tree", workflow_id: id, limit: PAGE_SIZE };
    let cursor = null;
    do {
      const page = await this.#request({ ...command, cursor });
      yield page;
      cursor = page.next;
    } while (cursor);
  }

  /**
   * Return the counters of the sidecar.
   *
   * @returns {Promise<Record<string, number>>}
   */
  async stats() {
    return (await this.#request({ command: "get_stats" })).stats;
  }

  /**
   * Ask for an operation to be cancelled. How it ends comes as its events.
   *
   * @param {string} id
   * @param {CancelOptions} [options]
   * @returns {Promise<CancelReply>}
   */
  async cancel(id, { terminate, reason } = {}) {
    return this.#request({ command: "cancel", operation_id: id, terminate, reason });
  }

  /** Close all handles and release the connection. */
  close() {
    this.#end(new ConnectionClosed("the client was closed", NORMAL));
  }

  /** @returns {HandleContext} */
  get #context() {
    if (this.error) throw this.error;
    return { connection: this.#connection, source: this.#source, handles: this.#handles };
  }

  /**
   * @param {Frame} command
   * @returns {Promise<any>}
   */
  async #request(command) {
    if (this.error) throw this.error;
    return this.#connection.request(command, this.#source);
  }

  /** @param {Error} error */
  #fail(error) {
    for (const handle of [...this.#handles]) handle.reject(error);
    this.#end(error);
  }

  /** @param {Error} error */
  #end(error) {
    if (this.error) return;
    this.error = error;
    const connection = this.#connection;
    connection.observers.delete(this.#observer);
    for (const handle of [...this.#handles]) handle.close(error);
    this.#notify();
    setTimeout(() => {
      if (connection.removeClient(this.#source, this.#onRefused, error)) connection.stop(error);
      if (connection.error && connections.get(this.url) === connection) {
        connections.delete(this.url);
      }
    }, CLOSE_DELAY);
  }

  #notify() {
    for (const observer of [...this.#observers]) callSafely(observer);
  }
}
