/**
 * What a client remembers, so that a lost connection costs it nothing.
 *
 * Which operations it subscribed to, the last event it saw of each, and the ids of the events it
 * saw lately. {@link ResumeState#resume} makes the commands of the next connection out of that;
 * {@link ResumeState#accept} keeps what comes a second time from being shown a second time.
 *
 * Pure.
 */

import { chunkIds, isEnd } from "./protocol.js";

/** @import { Frame, ProgressEvent } from "./protocol.js" */

/** Event ids that are remembered; it may be twice as many. */
const MAX_SEEN = 50_000;

/** Operations nobody subscribed to by id (there is a selector) of which the last event is known. */
const MAX_KNOWN = 1_000;

/** What one client has subscribed to and seen. */
export class ResumeState {
  /** Ids, in the order in which they were asked for. @type {Set<string>} */
  ids = new Set();

  /** The fields of the selectors, by a key. @type {Map<string, Record<string, string>>} */
  selectors = new Map();

  /** @type {Map<string, { eventId: string, ended: boolean }>} */
  #known = new Map();

  // Two generations, of which the older one is let go when the younger is full.
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
   * Whether the event with this id was seen.
   *
   * @param {string} eventId
   */
  has(eventId) {
    return this.#seen.has(eventId) || this.#seenBefore.has(eventId);
  }

  /**
   * Take an event; false when it is known already.
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
      // It was heard last, of those that came with a selector.
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
   * The commands of a new connection, in their order.
   *
   * What came with a selector and has not ended is subscribed by id for a moment: `since` is
   * known for ids only.
   *
   * @param {(fields: Record<string, string>) => boolean} [wanted] Asked once for each
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
