/**
 * How everything that is watched stands, and who is told what happens to it.
 *
 * Pure: what is socket of the sidecar for it is the affair of `watching.js`.
 */

import { reduce } from "./reducer.js";
import { Subscription } from "./subscriptions.js";

/** @import { ResumeState } from "./resume_state.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

/**
 * By which a subscription is found.
 *
 * @param {Record<string, string>} fields What `subscribe` says.
 */
export function subscriptionKey(fields) {
  return JSON.stringify(fields);
}

export class OperationStore {
  /** By a key of what they are. @type {Map<string, Subscription>} */
  subscriptions = new Map();
  /** Those of them that a selector means. @type {Set<Subscription>} */
  bySelector = new Set();

  #resumeState;

  /** @param {ResumeState} resumeState Says which events were seen. */
  constructor(resumeState) {
    this.#resumeState = resumeState;
  }

  /**
   * The subscription to an id, or to what a selector means.
   *
   * @param {Record<string, string>} fields What `subscribe` says.
   * @param {number} limit Operations that it keeps, at the least.
   */
  add(fields, limit) {
    const key = subscriptionKey(fields);
    const subscription = this.subscriptions.get(key) ?? new Subscription(fields, limit);
    subscription.limit = Math.max(subscription.limit, limit);
    this.subscriptions.set(key, subscription);
    if (!subscription.id) this.bySelector.add(subscription);
    return subscription;
  }

  /** @param {Subscription} subscription */
  remove(subscription) {
    this.subscriptions.delete(subscriptionKey(subscription.fields));
    this.bySelector.delete(subscription);
  }

  /**
   * Take an event as it comes.
   *
   * @param {ProgressEvent} event
   * @returns {boolean} Whether what happened before it is still to be learned.
   */
  applyEvent(event) {
    const id = event.operation_id;
    const fresh = this.#resumeState.accept(event);
    const subscriptions = [...this.#subscriptionsOf(id)];
    const before = subscriptions.map((one) => one.operations.get(id)).find((one) => one) ?? null;
    let operation = fresh || !before ? reduce(before, event) : before;
    // It is in the snapshot already.
    if (before && subscriptions.some((one) => one.replaying)) {
      const { event_count, last_event_id } = before;
      operation = { ...operation, event_count, last_event_id };
    }
    for (const one of subscriptions) {
      if (!one.selects(operation)) continue;
      one.keep(operation);
      one.deliver(event, operation, fresh);
    }
    return subscriptions.length > 0 && !before && !operation.operation_type;
  }

  /**
   * Take a snapshot for what is known: replies come before events, so it is never replay them.
   *
   * @param {Operation} operation
   */
  update(operation) {
    for (const one of this.#subscriptionsOf(operation.operation_id)) {
      if (!one.selects(operation)) continue;
      one.keep(operation);
      one.update(operation);
    }
  }

  /** @param {string} id */
  *#subscriptionsOf(id) {
    const byId = this.subscriptions.get(subscriptionKey({ operation_id: id }));
    if (byId) yield byId;
    yield* this.bySelector;
  }
}
