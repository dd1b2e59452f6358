/**
 * Everything that is watched through one connection, whichever line it has: what the sidecar is
 * asked for, when somebody comes or goes and when there is a new line.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Board, keyOf } from "./board.js";
import { Memory } from "./memory.js";
import { CommandError } from "./protocol.js";
import { FASTEST, Seat } from "./subscriptions.js";

/** @import { Line } from "./line.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Subscription, Watcher } from "./subscriptions.js" */
/** @import { TokenSource } from "./tokens.js" */

/** Operations in one page of a list. */
const PAGE = 1_000;

export class Watching {
  #memory = new Memory();
  #board = new Board(this.#memory);
  /**
   * The pace that the line was told, by the id; of all selectors by undefined.
   * @type {Map<string | undefined, number>}
   */
  #paces = new Map();
  /** The line, while there is one on which everything is subscribed. @type {Line | null} */
  #line = null;
  /** What is subscribed on the line, by a key. @type {Set<string>} */
  #live = new Set();
  /** @type {(source: TokenSource) => Promise<void>} */
  #present = async () => {};

  // What the connection does.

  /**
   * Use a line.
   *
   * @param {Line} line
   * @param {(source: TokenSource) => Promise<void>} present Tells it a new token.
   */
  open(line, present) {
    this.#line = line;
    this.#present = present;
  }

  /**
   * Subscribe again, on a new line, to what those watched on the one before who have this token.
   *
   * @param {Line} line
   * @param {TokenSource} source
   */
  async resume(line, source) {
    const commands = this.#memory.resume((fields) => {
      const key = keyOf(fields);
      return !this.#live.has(key) && this.#isOf(source, key) && !!this.#live.add(key);
    });
    await Promise.all([...commands].map((one) => this.#resume(line, one, source)));
  }

  /**
   * Ask for what those are to see whose token the line knows now.
   *
   * @param {TokenSource} source
   */
  admit(source) {
    for (const [key, subscription] of this.#board.subscriptions) {
      if (!this.#isOf(source, key)) continue;
      if (this.#memory.selectors.has(key)) this.#list(subscription);
      this.#pace(subscription);
      for (const seat of subscription.seats) this.#join(subscription, seat);
    }
  }

  /** The line is gone. */
  lose() {
    this.#line = null;
    this.#paces.clear();
    this.#live.clear();
  }

  /**
   * Whether somebody watches it by this token.
   *
   * @param {TokenSource} source
   * @param {string} key
   */
  #isOf(source, key) {
    const seats = this.#board.subscriptions.get(key)?.seats ?? [];
    return [...seats].some((seat) => seat.source === source);
  }

  /** @param {ProgressEvent} event */
  take(event) {
    if (this.#board.take(event)) this.#learn(event.operation_id);
  }

  // What the clients do.

  /**
   * Let one more watch an id, or what a selector means.
   *
   * @param {Record<string, string>} fields What `subscribe` says.
   * @param {Watcher} watcher
   * @param {TokenSource} source Whose token grants it.
   * @param {number} limit Operations that are kept.
   * @param {number} [rate] Progress a second and operation, at the most.
   * @returns {{ operations: Map<string, Operation>, leave: () => void }}
   */
  subscribe(fields, watcher, source, limit, rate) {
    const subscription = this.#board.add(fields, limit);
    const seat = new Seat(watcher, source, rate);
    subscription.seats.add(seat);
    // What is told it comes later, also where it is known already.
    queueMicrotask(() => this.#join(subscription, seat));
    const { operations } = subscription;
    return { operations, leave: () => this.#leave(subscription, seat) };
  }

  // Subscriptions.

  /**
   * Send a command of the memory again; what is not granted any more is refused one by one.
   *
   * @param {Line} line
   * @param {Frame} command
   * @param {TokenSource} source
   * @returns {Promise<void>}
   */
  async #resume(line, command, source) {
    const { command: name, operation_ids: ids = [], since = {}, ...fields } = command;
    try {
      await line.ask({ ...command, resync: true });
    } catch (error) {
      if (!(error instanceof CommandError) || name !== "subscribe") return;
      if (ids.length < 2) this.#refuse(ids.length ? { operation_id: ids[0] } : fields, error, source);
      else for (const one of ids) {
        const known = since[one] ? since : undefined;
        await this.#resume(line, { command: name, operation_ids: [one], since: known }, source);
      }
    }
  }

  /**
   * Turn those away who watched it, but for those whose token the line has yet to learn.
   *
   * @param {Record<string, string>} fields
   * @param {Error} error
   * @param {TokenSource} [source] Whose token was the last it learned.
   */
  #refuse(fields, error, source) {
    const key = keyOf(fields);
    const subscription = this.#board.subscriptions.get(key);
    this.#live.delete(key);
    if (!subscription) return;
    for (const seat of [...subscription.seats]) {
      const known = seat.source === source || seat.source.presentedTo === this.#line;
      if (known) this.#turnAway(subscription, seat, error);
    }
  }

  /**
   * @param {Subscription} subscription
   * @param {Seat} seat
   * @param {Error} error
   */
  #turnAway(subscription, seat, error) {
    this.#leave(subscription, seat);
    seat.watcher.refuse(error, subscription.id);
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
    const replay = id ? "all" : "none";
    const rate = this.#rate(subscription, seat);
    const command = { command: "subscribe", ...fields, replay, resync: true, max_rate: rate };
    try {
      await line.ask(command, (reply) => {
        if (rate) this.#paces.set(id, rate);
        this.#begin(subscription, seat, reply);
      });
    } catch (error) {
      if (!(error instanceof CommandError)) return;
      const { source } = seat;
      const renews = error.code === "unauthorized" && source.renews && !seat.again;
      if (!renews) return this.#turnAway(subscription, seat, error);
      seat.again = true;
      // Where there is none now, it is asked for again before this one ends.
      await this.#present(source).catch(() => {});
      seat.asked = null;
      this.#join(subscription, seat);
    }
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
    this.#live.add(keyOf(fields));
    this.#pace(subscription);
    if (!id) {
      seat.level();
      this.#memory.selectors.set(keyOf(fields), fields);
      this.#list(subscription);
      return;
    }
    this.#memory.add(id);
    seat.behind = reply.operation;
    if (reply.operation) this.#board.adopt(reply.operation);
    seat.watcher.begin(id);
  }

  /**
   * Learn how the operations of a selector stand, newest first; on the next line, if this one ends.
   *
   * @param {Subscription} subscription
   */
  async #list(subscription) {
    const line = this.#line;
    const { fields, seats, limit: most } = subscription;
    const filter = fields.operation_id ? {} : fields;
    let [cursor, left] = [null, most];
    const take = (/** @type {Frame} */ reply) => {
      for (const operation of reply.operations.reverse()) this.#board.adopt(operation);
      left -= reply.operations.length;
      cursor = reply.next;
    };
    try {
      do {
        const limit = Math.min(left, PAGE);
        await line?.ask({ command: "list_operations", ...filter, limit, cursor }, take);
      } while (cursor && left > 0 && seats.size);
    } catch (error) {
      if (error instanceof CommandError) this.#refuse(fields, error);
      return;
    }
    for (const seat of [...seats]) if (seat.begun) seat.watcher.begin();
  }

  /**
   * @param {Subscription} subscription
   * @param {Seat} seat
   */
  #leave(subscription, seat) {
    subscription.seats.delete(seat);
    // Who closes one handle often opens another one at once.
    setTimeout(() => this.#tidy(subscription));
  }

  /** @param {Subscription} subscription */
  #tidy(subscription) {
    const { id, fields, seats } = subscription;
    const { subscriptions, selecting } = this.#board;
    if (!seats.size && subscriptions.get(keyOf(fields)) === subscription) {
      this.#board.remove(subscription);
      this.#memory.selectors.delete(keyOf(fields));
      if (id) {
        this.#memory.remove(id);
        this.#paces.delete(id);
      }
      this.#live.delete(keyOf(fields));
      this.#line?.ask({ command: "unsubscribe", ...fields }).catch(() => {});
    }
    for (const one of id ? [subscription] : selecting) this.#pace(one);
  }

  /**
   * How often progress is wanted, where the line was told something else: as often as somebody
   * wants it.
   *
   * @param {Subscription} subscription
   * @param {Seat} [joining] One that has yet to begin.
   */
  #rate({ id, seats }, joining) {
    // All selectors have one pace.
    const all = id ? [...seats] : [...this.#board.selecting].flatMap((one) => [...one.seats]);
    const rates = all.filter((seat) => seat.begun || seat === joining).map((seat) => seat.rate);
    const rate = Math.max(...rates);
    return rates.length && rate !== (this.#paces.get(id) ?? FASTEST) ? rate : undefined;
  }

  /**
   * Say how often progress is wanted.
   *
   * @param {Subscription} subscription
   */
  #pace(subscription) {
    const { id, fields } = subscription;
    const rate = this.#rate(subscription);
    if (!rate || !this.#line || !this.#live.has(keyOf(fields))) return;
    this.#paces.set(id, rate);
    this.#line.ask({ command: "subscribe", ...fields, max_rate: rate }).catch(() => {});
  }

  /**
   * Ask how an operation stands of which only something later was heard.
   *
   * @param {string} id
   */
  #learn(id) {
    const take = (/** @type {Frame} */ { operation }) => operation && this.#board.adopt(operation);
    this.#line?.ask({ command: "get_operation", operation_id: id }, take).catch(() => {});
  }
}
