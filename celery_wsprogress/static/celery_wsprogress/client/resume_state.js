/**
 * The subscriptions and the last seen events of a client, to resume after a loss of connection.
 *
 * {@link ResumeState#resume} returns the commands for the next connection; {@link
 * ResumeState#accept} recognises events that come a second time.
 *
 * Pure.
 */

import { chunkIds, isEnd } from "./protocol.js";

/** @import { Frame, ProgressEvent } from "./protocol.js" */

/** Event ids in one generation; two generations are kept. */
const MAX_SEEN = 50_000;

/** Maximum number of operations, of those that came by a selector, whose last event is kept. */
const MAX_KNOWN = 1_000;

/** The state of one connection. */
export class ResumeState {
  /** Subscribed ids, in the order of subscription. @type {Set<string>} */
  ids = new Set();

  /** The fields of subscribed selectors, by key. @type {Map<string, Record<string, string>>} */
  selectors = new Map();

  /** @type {Map<string, { eventId: string, ended: boolean }>} */
  #known = new Map();

  // Two generations; when the younger one is full, the older one is dropped.
  /** @type {Set<string>} */
  #seen = new Set();
  /** @type {Set<string>} */
  #seenBefore = new Set();

  /** @param {string} id */
  add(id) {
    this.ids.add(id);
  }

  /** @param {string} id */
  remove(id) {
    this.ids.delete(id);
    this.#known.delete(id);
  }

  /**
   * Return whether the event with this id was seen.
   *
   * @param {string} eventId
   */
  has(eventId) {
    return this.#seen.has(eventId) || this.#seenBefore.has(eventId);
  }

  /**
   * Remember an event. Return false if it was seen before.
   *
   * @param {ProgressEvent} event
   */
  accept(event) {
    const eventId = event.event_id;
    if (!eventId) return true;
    if (this.has(eventId)) return false;
    this.#seen.add(eventId);
    if (this.#seen.size >= MAX_SEEN) [this.#seenBefore, this.#seen] = [this.#seen, new Set()];
    this.#remember(event.operation_id, { eventId, ended: isEnd(event) });
    return true;
  }

  /**
   * @param {string} id
   * @param {{ eventId: string, ended: boolean }} known
   */
  #remember(id, known) {
    if (!this.ids.has(id)) {
      // Insert again, so that the map is in the order of the last events.
      this.#known.delete(id);
      if (this.#known.size >= MAX_KNOWN + this.ids.size) {
        for (const one of this.#known.keys()) {
          if (this.ids.has(one)) continue;
          this.#known.delete(one);
          break;
        }
      }
    }
    this.#known.set(id, known);
  }

  /**
   * Yield the commands of a new connection, in their order.
   *
   * Operations of a selector that have not ended are subscribed by id for a moment, because
   * `since` holds for ids only.
   *
   * @param {(fields: Record<string, string>) => unknown} [wanted] Called once for each
   *   subscription.
   * @returns {Generator<Frame>}
   */
  *resume(wanted = () => true) {
    yield* this.#subscriptions([...this.ids].filter((id) => wanted({ operation_id: id })));
    const selectors = [...this.selectors.values()].filter(wanted);
    if (!selectors.length) return;
    const passing = [...this.#known]
      .filter(([id, known]) => !this.ids.has(id) && !known.ended)
      .map(([id]) => id);
    yield* this.#subscriptions(passing);
    for (const fields of selectors) yield { command: "subscribe", ...fields };
    for (const ids of chunkIds(passing)) yield { command: "unsubscribe", operation_ids: ids };
  }

  /**
   * @param {Iterable<string>} ids
   * @returns {Generator<Frame>}
   */
  *#subscriptions(ids) {
    for (const some of chunkIds(ids)) {
      const known = some.filter((one) => this.#known.has(one));
      const since = Object.fromEntries(known.map((one) => [one, this.#known.get(one)?.eventId]));
      const command = { command: "subscribe", operation_ids: some };
      yield known.length ? { ...command, since } : command;
    }
  }
}
