/**
 * The snapshots of all watched operations, by subscription. The subscription manager feeds it with
 * events and replies; it folds and delivers them.
 *
 * Pure: `subscription_manager.js` sends the commands.
 */

import { reduce } from "./reducer.js";
import { Subscription, subscriptionKey } from "./subscriptions.js";

/** @import { ResumeState } from "./resume_state.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */

export class OperationStore {
  /** All subscriptions, by key. @type {Map<string, Subscription>} */
  subscriptions = new Map();
  /** The subscriptions by selector. @type {Set<Subscription>} */
  selectors = new Set();

  #resumeState;

  /** @param {ResumeState} resumeState Knows the events that were seen. */
  constructor(resumeState) {
    this.#resumeState = resumeState;
  }

  /**
   * Return the subscription to an id or a selector; add it if it is new.
   *
   * @param {Record<string, string>} fields The fields of the `subscribe` command.
   * @param {number} limit Minimum number of operations to keep.
   */
  add(fields, limit) {
    const key = subscriptionKey(fields);
    const subscription = this.subscriptions.get(key) ?? new Subscription(fields, limit);
    subscription.limit = Math.max(subscription.limit, limit);
    this.subscriptions.set(key, subscription);
    if (!subscription.id) this.selectors.add(subscription);
    return subscription;
  }

  /** @param {Subscription} subscription */
  remove(subscription) {
    this.subscriptions.delete(subscription.key);
    this.selectors.delete(subscription);
  }

  /**
   * Apply an event and deliver it.
   *
   * @param {ProgressEvent} event
   * @returns {boolean} Whether a snapshot must be fetched, because the event is the first known
   *   one and does not tell all that selectors look at.
   */
  applyEvent(event) {
    const id = event.operation_id;
    const fresh = this.#resumeState.accept(event);
    const subscriptions = [...this.#subscriptionsOf(id)];
    const before = subscriptions.map((one) => one.operations.get(id)).find((one) => one) ?? null;
    let operation = fresh || !before ? reduce(before, event) : before;
    // A listener has its run replayed over a snapshot that counts these events already.
    if (before && subscriptions.some((one) => one.replaying)) {
      const { event_count, last_event_id } = before;
      operation = { ...operation, event_count, last_event_id };
    }
    for (const one of subscriptions) {
      if (!one.selects(operation)) continue;
      one.keep(operation);
      one.deliver(event, operation, fresh);
    }
    if (before || !subscriptions.length) return false;
    // Only a snapshot tells the workflows of a task.
    const undecided = subscriptions.some((one) => one.fields.steps_of && !one.operations.has(id));
    return undecided || !operation.operation_type;
  }

  /**
   * Apply a snapshot of a reply. The sidecar sends replies and events in one order, so a snapshot
   * is never older than the events applied before it.
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
    yield* this.selectors;
  }
}
