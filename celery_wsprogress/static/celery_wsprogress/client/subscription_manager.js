/**
 * Everything that is watched through one connection, whichever socket it has: what the sidecar is
 * socket for, when somebody comes or goes and when there is a new socket.
 *
 * Runs in: a page, a worker, or Node.
 */

import { OperationStore, subscriptionKey } from "./operation_store.js";
import { ResumeState } from "./resume_state.js";
import { CommandError } from "./protocol.js";
import { NO_RATE_LIMIT, Listener } from "./subscriptions.js";

/** @import { Socket } from "./socket.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Subscription, Subscriber } from "./subscriptions.js" */
/** @import { TokenSource } from "./tokens.js" */

/** Operations in one page of a list. */
const LIST_PAGE_SIZE = 1_000;

export class SubscriptionManager {
  #resumeState = new ResumeState();
  #store = new OperationStore(this.#resumeState);
  /**
   * The pace that the socket was told, by the id; of all selectors by undefined.
   * @type {Map<string | undefined, number>}
   */
  #rates = new Map();
  /** The socket, while there is one on which everything is subscribed. @type {Socket | null} */
  #socket = null;
  /** What is subscribed on the socket, by a key. @type {Set<string>} */
  #subscribed = new Set();
  /** @type {(source: TokenSource) => Promise<void>} */
  #sendToken = async () => {};

  // What the connection does.

  /**
   * Use a socket.
   *
   * @param {Socket} socket
   * @param {(source: TokenSource) => Promise<void>} sendToken Tells it a new token.
   */
  onConnect(socket, sendToken) {
    this.#socket = socket;
    this.#sendToken = sendToken;
  }

  /**
   * Subscribe retried, on a new socket, to what those watched on the one before who have this token.
   *
   * @param {Socket} socket
   * @param {TokenSource} source
   */
  async resume(socket, source) {
    const commands = this.#resumeState.resume((fields) => {
      const key = subscriptionKey(fields);
      return !this.#subscribed.has(key) && this.#isWatchedBy(source, key) && !!this.#subscribed.add(key);
    });
    await Promise.all([...commands].map((one) => this.#resubscribe(socket, one, source)));
  }

  /**
   * Ask for what those are to see whose token the socket knows now.
   *
   * @param {TokenSource} source
   */
  onAuthenticated(source) {
    for (const [key, subscription] of this.#store.subscriptions) {
      if (!this.#isWatchedBy(source, key)) continue;
      if (this.#resumeState.selectors.has(key)) this.#fetchList(subscription);
      this.#updateRate(subscription);
      for (const listener of subscription.listeners) this.#subscribe(subscription, listener);
    }
  }

  /** The socket is gone. */
  onDisconnect() {
    this.#socket = null;
    this.#rates.clear();
    this.#subscribed.clear();
  }

  /**
   * Whether somebody watches it by this token.
   *
   * @param {TokenSource} source
   * @param {string} key
   */
  #isWatchedBy(source, key) {
    const listeners = this.#store.subscriptions.get(key)?.listeners ?? [];
    return [...listeners].some((listener) => listener.source === source);
  }

  /** @param {ProgressEvent} event */
  onEvent(event) {
    if (this.#store.applyEvent(event)) this.#fetchSnapshot(event.operation_id);
  }

  // What the clients do.

  /**
   * Let one more watch an id, or what a selector means.
   *
   * @param {Record<string, string>} fields What `subscribe` says.
   * @param {Subscriber} handle
   * @param {TokenSource} source Whose token grants it.
   * @param {number} limit Operations that are kept.
   * @param {number} [rate] Progress a second and operation, at the most.
   * @returns {{ operations: Map<string, Operation>, unsubscribe: () => void }}
   */
  subscribe(fields, handle, source, limit, rate) {
    const subscription = this.#store.add(fields, limit);
    const listener = new Listener(handle, source, rate);
    subscription.listeners.add(listener);
    // What is told it comes later, also where it is known already.
    queueMicrotask(() => this.#subscribe(subscription, listener));
    const { operations } = subscription;
    return { operations, unsubscribe: () => this.#removeListener(subscription, listener) };
  }

  // Subscriptions.

  /**
   * Send a command of the memory retried; what is not granted any more is refused one by one.
   *
   * @param {Socket} socket
   * @param {Frame} command
   * @param {TokenSource} source
   * @returns {Promise<void>}
   */
  async #resubscribe(socket, command, source) {
    const { command: name, operation_ids: ids = [], since = {}, ...fields } = command;
    try {
      await socket.request({ ...command, resync: true });
    } catch (error) {
      if (!(error instanceof CommandError) || name !== "subscribe") return;
      if (ids.length < 2) this.#rejectAll(ids.length ? { operation_id: ids[0] } : fields, error, source);
      else for (const one of ids) {
        const known = since[one] ? since : undefined;
        await this.#resubscribe(socket, { command: name, operation_ids: [one], since: known }, source);
      }
    }
  }

  /**
   * Turn those away who watched it, but for those whose token the socket has yet to learn.
   *
   * @param {Record<string, string>} fields
   * @param {Error} error
   * @param {TokenSource} [source] Whose token was the last it learned.
   */
  #rejectAll(fields, error, source) {
    const key = subscriptionKey(fields);
    const subscription = this.#store.subscriptions.get(key);
    this.#subscribed.delete(key);
    if (!subscription) return;
    for (const listener of [...subscription.listeners]) {
      const known = listener.source === source || listener.source.socket === this.#socket;
      if (known) this.#reject(subscription, listener, error);
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {Listener} listener
   * @param {Error} error
   */
  #reject(subscription, listener, error) {
    this.#removeListener(subscription, listener);
    listener.handle.reject(error, subscription.id);
  }

  /**
   * Ask for what a new listener is to see.
   *
   * @param {Subscription} subscription
   * @param {Listener} listener
   */
  async #subscribe(subscription, listener) {
    const socket = this.#socket;
    if (!socket || listener.active || listener.socket === socket || listener.source.socket !== socket) return;
    if (!subscription.listeners.has(listener)) return;
    listener.socket = socket;
    const { id, fields } = subscription;
    // Events of one operation, from the start of its run; of many, how they stand and the news.
    const replay = id ? "all" : "none";
    const rate = this.#rate(subscription, listener);
    const command = { command: "subscribe", ...fields, replay, resync: true, max_rate: rate };
    try {
      await socket.request(command, (reply) => {
        if (rate) this.#rates.set(id, rate);
        this.#activate(subscription, listener, reply);
      });
    } catch (error) {
      if (!(error instanceof CommandError)) return;
      const { source } = listener;
      const canRetry = error.code === "unauthorized" && source.canRenew && !listener.retried;
      if (!canRetry) return this.#reject(subscription, listener, error);
      listener.retried = true;
      // Where there is none now, it is socket for retried before this one ends.
      await this.#sendToken(source).catch(() => {});
      listener.socket = null;
      this.#subscribe(subscription, listener);
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {Listener} listener
   * @param {Frame} reply
   */
  #activate(subscription, listener, reply) {
    if (!subscription.listeners.has(listener)) return;
    const { id, fields } = subscription;
    listener.active = true;
    this.#subscribed.add(subscriptionKey(fields));
    this.#updateRate(subscription);
    if (!id) {
      listener.catchUp();
      this.#resumeState.selectors.set(subscriptionKey(fields), fields);
      this.#fetchList(subscription);
      return;
    }
    this.#resumeState.add(id);
    listener.replay = reply.operation;
    if (reply.operation) this.#store.update(reply.operation);
    listener.handle.markReady(id);
  }

  /**
   * Learn how the operations of a selector stand, newest first; on the next socket, if this one ends.
   *
   * @param {Subscription} subscription
   */
  async #fetchList(subscription) {
    const socket = this.#socket;
    const { fields, listeners, limit: most } = subscription;
    const filter = fields.operation_id ? {} : fields;
    let [cursor, left] = [null, most];
    const take = (/** @type {Frame} */ reply) => {
      for (const operation of reply.operations.reverse()) this.#store.update(operation);
      left -= reply.operations.length;
      cursor = reply.next;
    };
    try {
      do {
        const limit = Math.min(left, LIST_PAGE_SIZE);
        await socket?.request({ command: "list_operations", ...filter, limit, cursor }, take);
      } while (cursor && left > 0 && listeners.size);
    } catch (error) {
      if (error instanceof CommandError) this.#rejectAll(fields, error);
      return;
    }
    for (const listener of [...listeners]) if (listener.active) listener.handle.markReady();
  }

  /**
   * @param {Subscription} subscription
   * @param {Listener} listener
   */
  #removeListener(subscription, listener) {
    subscription.listeners.delete(listener);
    // Who closes one handle often opens another one at once.
    setTimeout(() => this.#unsubscribeIfUnused(subscription));
  }

  /** @param {Subscription} subscription */
  #unsubscribeIfUnused(subscription) {
    const { id, fields, listeners } = subscription;
    const { subscriptions, bySelector } = this.#store;
    if (!listeners.size && subscriptions.get(subscriptionKey(fields)) === subscription) {
      this.#store.remove(subscription);
      this.#resumeState.selectors.delete(subscriptionKey(fields));
      if (id) {
        this.#resumeState.remove(id);
        this.#rates.delete(id);
      }
      this.#subscribed.delete(subscriptionKey(fields));
      this.#socket?.request({ command: "unsubscribe", ...fields }).catch(() => {});
    }
    for (const one of id ? [subscription] : bySelector) this.#updateRate(one);
  }

  /**
   * How often progress is wanted, where the socket was told something else: as often as somebody
   * accepts it.
   *
   * @param {Subscription} subscription
   * @param {Listener} [joining] One that has yet to begin.
   */
  #rate({ id, listeners }, joining) {
    // All selectors have one pace.
    const all = id ? [...listeners] : [...this.#store.bySelector].flatMap((one) => [...one.listeners]);
    const rates = all.filter((listener) => listener.active || listener === joining).map((listener) => listener.rate);
    const rate = Math.max(...rates);
    return rates.length && rate !== (this.#rates.get(id) ?? NO_RATE_LIMIT) ? rate : undefined;
  }

  /**
   * Say how often progress is wanted.
   *
   * @param {Subscription} subscription
   */
  #updateRate(subscription) {
    const { id, fields } = subscription;
    const rate = this.#rate(subscription);
    if (!rate || !this.#socket || !this.#subscribed.has(subscriptionKey(fields))) return;
    this.#rates.set(id, rate);
    this.#socket.request({ command: "subscribe", ...fields, max_rate: rate }).catch(() => {});
  }

  /**
   * Ask how an operation stands of which only something later was heard.
   *
   * @param {string} id
   */
  #fetchSnapshot(id) {
    const take = (/** @type {Frame} */ { operation }) => operation && this.#store.update(operation);
    this.#socket?.request({ command: "get_operation", operation_id: id }, take).catch(() => {});
  }
}
