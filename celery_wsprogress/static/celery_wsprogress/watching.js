/**
 * Everything that is watched through one connection, whichever line it has: who watches what, how
 * it stands, and what a new line is asked for.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Memory } from "./memory.js";
import { CommandError } from "./protocol.js";
import { reduce } from "./reducer.js";
import { Seat, Subscription } from "./subscriptions.js";

/** @import { Line } from "./line.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Watcher } from "./subscriptions.js" */
/** @import { TokenSource } from "./tokens.js" */

/**
 * @typedef {(command: Frame, onReply: (reply: Frame) => void) => Promise<Frame>} Ask
 *   Asks on the line there is, or on the next one.
 */

/** Operations in one page of a list. */
const PAGE = 1_000;

export class Watching {
  #ask;
  #memory = new Memory();
  /** By a key of what they are. @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** Those of them that a selector means. @type {Set<Subscription>} */
  #selecting = new Set();
  /** The last event that is in a snapshot, by the id of the operation. @type {Map<string, string>} */
  #ahead = new Map();
  /** The line, while there is one on which everything is subscribed. @type {Line | null} */
  #line = null;
  /** @type {(source: TokenSource) => Promise<void>} */
  #introduce = async () => {};

  /** @param {Ask} ask */
  constructor(ask) {
    this.#ask = ask;
  }

  // What the connection does.

  /**
   * Subscribe again, on a new line, to what was watched on the one before.
   *
   * @param {Line} line
   */
  async resume(line) {
    await Promise.all([...this.#memory.resume()].map((one) => this.#resume(line, one)));
  }

  /**
   * Use a line on which everything is subscribed again.
   *
   * @param {Line} line
   * @param {(source: TokenSource) => Promise<void>} introduce Tells it a new token.
   */
  open(line, introduce) {
    this.#line = line;
    this.#introduce = introduce;
    for (const key of this.#memory.selectors.keys()) this.#list(this.#subscriptions.get(key));
    this.joinAll();
  }

  /** The line is gone. */
  lose() {
    this.#line = null;
  }

  /** Ask for what those are to see who came without a line, or without a token. */
  joinAll() {
    for (const subscription of this.#subscriptions.values()) {
      for (const seat of subscription.seats) this.#join(subscription, seat);
    }
  }

  /** @param {ProgressEvent} event */
  take(event) {
    const id = event.operation_id;
    const fresh = this.#memory.accept(event);
    const subscriptions = [...this.#subscriptionsOf(id)];
    const before = subscriptions.map((one) => one.operations.get(id)).find((one) => one) ?? null;
    const operation = fresh || !before ? this.#fold(before, event) : before;
    for (const one of subscriptions) {
      if (!one.selects(operation)) continue;
      one.keep(operation);
      one.deliver(event, operation, fresh);
    }
    if (subscriptions.length && !before && !operation.operation_type) this.#learn(id);
  }

  // What the clients do.

  /**
   * Let one more watch an id, or what a selector means.
   *
   * @param {Record<string, string>} fields What `subscribe` says.
   * @param {Watcher} watcher
   * @param {TokenSource} source Whose token grants it.
   * @param {number} limit Operations that are kept.
   * @returns {{ operations: Map<string, Operation>, leave: () => void }}
   */
  subscribe(fields, watcher, source, limit) {
    const key = JSON.stringify(fields);
    const subscription = this.#subscriptions.get(key) ?? new Subscription(fields, limit);
    subscription.limit = Math.max(subscription.limit, limit);
    this.#subscriptions.set(key, subscription);
    if (!subscription.id) this.#selecting.add(subscription);
    const seat = new Seat(watcher, source);
    subscription.seats.add(seat);
    // What is told it comes later, also where it is known already.
    queueMicrotask(() => this.#join(subscription, seat));
    const { operations } = subscription;
    return { operations, leave: () => this.#leave(key, subscription, seat) };
  }

  // Subscriptions.

  /**
   * Send a command of the memory again; what is not granted any more is refused one by one.
   *
   * @param {Line} line
   * @param {Frame} command
   * @returns {Promise<void>}
   */
  async #resume(line, command) {
    const { command: name, operation_ids: ids = [], since = {}, ...fields } = command;
    try {
      await line.ask(name === "subscribe" ? { ...command, resync: true } : command);
    } catch (error) {
      if (!(error instanceof CommandError) || name !== "subscribe") return;
      if (ids.length < 2) this.#refuse(ids.length ? { operation_id: ids[0] } : fields, error);
      else for (const one of ids) {
        const single = { command: name, operation_ids: [one], since };
        await this.#resume(line, since[one] ? single : { command: name, operation_ids: [one] });
      }
    }
  }

  /**
   * @param {Record<string, string>} fields
   * @param {Error} error
   */
  #refuse(fields, error) {
    const subscription = this.#subscriptions.get(JSON.stringify(fields));
    for (const seat of [...(subscription?.seats ?? [])]) this.#turnAway(subscription, seat, error);
  }

  /**
   * @param {Subscription | undefined} subscription
   * @param {Seat} seat
   * @param {Error} error
   */
  #turnAway(subscription, seat, error) {
    if (subscription) this.#leave(JSON.stringify(subscription.fields), subscription, seat);
    seat.watcher.refuse(error, subscription?.id);
  }

  /**
   * Ask for what a new seat is to see.
   *
   * @param {Subscription} subscription
   * @param {Seat} seat
   */
  async #join(subscription, seat) {
    const line = this.#line;
    if (!line || seat.begun || seat.asked === line || seat.source.presentedTo !== line) return;
    if (!subscription.seats.has(seat)) return;
    seat.asked = line;
    const { id, fields } = subscription;
    // Events of one operation, from the start of its run; of many, how they stand and the news.
    const command = { command: "subscribe", ...fields, replay: id ? "all" : "none", resync: true };
    try {
      await line.ask(command, (reply) => this.#begin(subscription, seat, reply));
    } catch (error) {
      if (error instanceof CommandError) await this.#joinAgain(subscription, seat, line, error);
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {Seat} seat
   * @param {Line} line
   * @param {CommandError} error
   */
  async #joinAgain(subscription, seat, line, error) {
    const expired = error.code === "unauthorized" && seat.source.renews && !seat.again;
    if (!expired) {
      this.#turnAway(subscription, seat, error);
      return;
    }
    seat.again = true;
    await this.#introduce(seat.source);
    seat.asked = null;
    this.#join(subscription, seat);
  }

  /**
   * @param {Subscription} subscription
   * @param {Seat} seat
   * @param {Frame} reply
   */
  #begin(subscription, seat, reply) {
    if (!subscription.seats.has(seat)) return;
    const { id, fields } = subscription;
    seat.begun = true;
    if (!id) {
      seat.level();
      this.#memory.selectors.set(JSON.stringify(fields), fields);
      this.#list(subscription).then(() => seat.watcher.begin());
      return;
    }
    this.#memory.add(id);
    if (reply.operation) this.#adopt(reply.operation, true);
    seat.watcher.begin(id);
  }

  /**
   * Learn how the operations of a selector stand, newest first.
   *
   * @param {Subscription | undefined} subscription
   */
  async #list(subscription) {
    if (!subscription) return;
    const { fields, seats, limit: most } = subscription;
    const filter = fields.operation_id ? {} : fields;
    let [cursor, left] = [null, most];
    const take = (/** @type {Frame} */ reply) => {
      for (const operation of reply.operations.reverse()) this.#adopt(operation);
      left -= reply.operations.length;
      cursor = reply.next;
    };
    try {
      do {
        const limit = Math.min(left, PAGE);
        await this.#ask({ command: "list_operations", ...filter, limit, cursor }, take);
      } while (cursor && left > 0 && seats.size);
    } catch (error) {
      if (error instanceof CommandError) this.#refuse(fields, error);
    }
  }

  /**
   * @param {string} key
   * @param {Subscription} subscription
   * @param {Seat} seat
   */
  #leave(key, subscription, seat) {
    subscription.seats.delete(seat);
    // Who closes one handle often opens another one at once.
    setTimeout(() => {
      if (subscription.seats.size || this.#subscriptions.get(key) !== subscription) return;
      this.#subscriptions.delete(key);
      this.#selecting.delete(subscription);
      this.#memory.selectors.delete(key);
      if (subscription.id) {
        this.#memory.remove(subscription.id);
        this.#ahead.delete(subscription.id);
      }
      const command = { command: "unsubscribe", ...subscription.fields };
      this.#line?.ask(command).catch(() => {});
    }, 0);
  }

  // Events.

  /** @param {string} id */
  *#subscriptionsOf(id) {
    const byId = this.#subscriptions.get(JSON.stringify({ operation_id: id }));
    if (byId) yield byId;
    yield* this.#selecting;
  }

  /**
   * @param {Operation | null} before
   * @param {ProgressEvent} event
   */
  #fold(before, event) {
    const id = event.operation_id;
    const operation = reduce(before, event);
    const ahead = this.#ahead.get(id);
    if (!before || ahead === undefined) return operation;
    // It is in the snapshot already, as is everything up to the snapshot's last event; of which
    // nothing is seen where it was a progress that a newer one has replaced.
    if (ahead === event.event_id || event.event_type === "progress") this.#ahead.delete(id);
    const { event_count, last_event_id } = before;
    return { ...operation, event_count, last_event_id };
  }

  /**
   * Ask how an operation stands of which only something later was heard.
   *
   * @param {string} id
   */
  #learn(id) {
    const take = (/** @type {Frame} */ { operation }) => operation && this.#adopt(operation);
    this.#ask({ command: "get_operation", operation_id: id }, take).catch(() => {});
  }

  /**
   * Take a snapshot for what is known: replies come before events, so it is never behind them.
   *
   * @param {Operation} operation
   * @param {boolean} [replayed] The events that made it so follow.
   */
  #adopt(operation, replayed = false) {
    const { operation_id: id, last_event_id: last } = operation;
    if (replayed && !this.#memory.has(last)) this.#ahead.set(id, last);
    for (const one of this.#subscriptionsOf(id)) {
      if (!one.selects(operation)) continue;
      one.keep(operation);
      one.change(operation);
    }
  }
}

