/**
 * The subscriptions of one connection, over all of its sockets. It sends `subscribe` and
 * `unsubscribe` as handles come and go, and resumes on each new socket.
 *
 * Runs in: a page, a worker, or Node.
 */

import { fetchOperations } from "./operation_pages.js";
import { OperationStore } from "./operation_store.js";
import { CommandError, isWorkflowOperation } from "./protocol.js";
import { ResumeState } from "./resume_state.js";
import { resubscribe } from "./resubscription.js";
import { highestRate, Listener, NO_RATE_LIMIT, subscriptionKey } from "./subscriptions.js";

/** @import { Socket } from "./socket.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Subscription, Subscriber } from "./subscriptions.js" */
/** @import { TokenSource } from "./tokens.js" */

export class SubscriptionManager {
  #resumeState = new ResumeState();
  #store = new OperationStore(this.#resumeState);
  /**
   * The `max_rate` that was sent on this socket, by id; undefined is the key of all selectors.
   * @type {Map<string | undefined, number>}
   */
  #rates = new Map();
  /** The socket in use, after its welcome frame. @type {Socket | null} */
  #socket = null;
  /** The keys of what is subscribed on the socket. @type {Set<string>} */
  #subscribed = new Set();
  /** @type {(source: TokenSource) => Promise<void>} */
  #sendToken = async () => {};

  // Called by the connection.

  /**
   * Start to use a socket.
   *
   * @param {Socket} socket
   * @param {(source: TokenSource) => Promise<void>} sendToken Sends a new token.
   */
  onConnect(socket, sendToken) {
    this.#socket = socket;
    this.#sendToken = sendToken;
  }

  /**
   * Resume, on a new socket, the subscriptions of a token.
   *
   * @param {Socket} socket
   * @param {TokenSource} source
   */
  async resume(socket, source) {
    const commands = this.#resumeState.resume((fields) => {
      const key = subscriptionKey(fields);
      return (
        !this.#subscribed.has(key) &&
        this.#store.subscriptions.get(key)?.hasToken(source) &&
        this.#subscribed.add(key)
      );
    });
    const all = [...commands].map((command) =>
      resubscribe(socket, command, (fields, error) => this.#rejectAll(fields, error, source)),
    );
    await Promise.all(all);
  }

  /**
   * Complete the subscriptions of a token that the socket has accepted.
   *
   * @param {TokenSource} source
   */
  onAuthenticated(source) {
    for (const [key, subscription] of this.#store.subscriptions) {
      if (!subscription.hasToken(source)) continue;
      if (this.#resumeState.selectors.has(key)) this.#fetchList(subscription);
      this.#updateRate(subscription);
      for (const listener of subscription.listeners) this.#subscribe(subscription, listener);
    }
  }

  /** The socket has closed. */
  onClose() {
    this.#socket = null;
    this.#rates.clear();
    this.#subscribed.clear();
  }

  /** @param {ProgressEvent} event */
  onEvent(event) {
    const id = event.operation_id;
    // Of a workflow only progress says how many tasks there are, and how many of these are over.
    const uncounted = isWorkflowOperation(id) && event.event_type !== "progress";
    if (this.#store.applyEvent(event) || uncounted) this.#fetchSnapshot(id);
  }

  // Called by handles.

  /**
   * Add a listener to an id or a selector.
   *
   * @param {Record<string, string>} fields The fields of the `subscribe` command.
   * @param {Subscriber} handle
   * @param {TokenSource} source The token that grants it.
   * @param {number} limit Number of operations to keep.
   * @param {number} [rate] Maximum number of progress events per second and operation.
   * @returns {{ operations: Map<string, Operation>, unsubscribe: () => void }}
   */
  subscribe(fields, handle, source, limit, rate) {
    const subscription = this.#store.add(fields, limit);
    const listener = new Listener(handle, source, rate);
    subscription.listeners.add(listener);
    // Later, so that the handle is complete before its first event.
    queueMicrotask(() => this.#subscribe(subscription, listener));
    const { operations } = subscription;
    return { operations, unsubscribe: () => this.#removeListener(subscription, listener) };
  }

  // Subscriptions.

  /**
   * Reject the listeners of a subscription, except those whose token has not been sent yet.
   *
   * @param {Record<string, string>} fields
   * @param {Error} error
   * @param {TokenSource} [source] The token that was rejected.
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
   * Subscribe for a new listener.
   *
   * @param {Subscription} subscription
   * @param {Listener} listener
   */
  async #subscribe(subscription, listener) {
    const socket = this.#socket;
    if (!socket || !listener.canSubscribe(socket) || !subscription.listeners.has(listener)) return;
    listener.socket = socket;
    const { id, fields } = subscription;
    // For one operation: replay its run. For a selector: snapshots from a list, then new events.
    const replay = id ? "all" : "none";
    const rate = this.#unsentRate(subscription, listener);
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
      // Without a new token, the connection asks again before the one in use expires.
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
    const { id, key, fields } = subscription;
    listener.active = true;
    this.#subscribed.add(key);
    this.#updateRate(subscription);
    if (!id) {
      listener.catchUp();
      this.#resumeState.selectors.set(key, fields);
      this.#fetchList(subscription);
      return;
    }
    this.#resumeState.add(id);
    listener.replay = reply.operation;
    if (reply.operation) this.#store.update(reply.operation);
    listener.handle.markReady(id);
  }

  /**
   * Fetch the snapshots of a selector. After a loss of the socket, the next socket starts over.
   *
   * @param {Subscription} subscription
   */
  async #fetchList(subscription) {
    if (!this.#socket) return;
    try {
      await fetchOperations(this.#socket, subscription, (one) => this.#store.update(one));
    } catch (error) {
      if (error instanceof CommandError) this.#rejectAll(subscription.fields, error);
      return;
    }
    for (const one of [...subscription.listeners]) if (one.active) one.handle.markReady();
  }

  /**
   * @param {Subscription} subscription
   * @param {Listener} listener
   */
  #removeListener(subscription, listener) {
    subscription.listeners.delete(listener);
    // Later: a page often closes one handle and opens another.
    setTimeout(() => this.#unsubscribeIfUnused(subscription));
  }

  /** @param {Subscription} subscription */
  #unsubscribeIfUnused(subscription) {
    const { id, key, fields, listeners } = subscription;
    const { subscriptions, selectors } = this.#store;
    if (!listeners.size && subscriptions.get(key) === subscription) {
      this.#store.remove(subscription);
      this.#resumeState.selectors.delete(key);
      if (id) {
        this.#resumeState.remove(id);
        this.#rates.delete(id);
      }
      this.#subscribed.delete(key);
      this.#socket?.request({ command: "unsubscribe", ...fields }).catch(() => {});
    }
    for (const one of id ? [subscription] : selectors) this.#updateRate(one);
  }

  /**
   * Return the highest rate of the listeners if it differs from the rate that was sent.
   *
   * @param {Subscription} subscription
   * @param {Listener} [joining] A listener that is not active yet.
   */
  #unsentRate(subscription, joining) {
    const { id } = subscription;
    // The sidecar has one rate for all selectors of a session.
    const rate = highestRate(id ? [subscription] : this.#store.selectors, joining);
    return rate === (this.#rates.get(id) ?? NO_RATE_LIMIT) ? undefined : rate;
  }

  /**
   * Send the rate if it has changed.
   *
   * @param {Subscription} subscription
   */
  #updateRate(subscription) {
    const { id, key, fields } = subscription;
    const rate = this.#unsentRate(subscription);
    if (!rate || !this.#socket || !this.#subscribed.has(key)) return;
    this.#rates.set(id, rate);
    this.#socket.request({ command: "subscribe", ...fields, max_rate: rate }).catch(() => {});
  }

  /**
   * Fetch the snapshot of an operation of which the events do not tell all.
   *
   * @param {string} id
   */
  #fetchSnapshot(id) {
    const take = (/** @type {Frame} */ { operation }) => operation && this.#store.update(operation);
    this.#socket?.request({ command: "get_operation", operation_id: id }, take).catch(() => {});
  }
}
