/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Backoff } from "./backoff.js";
import { Line, LineLost } from "./line.js";
import { Memory } from "./memory.js";
import { CommandError, ConnectionClosed, isFinal } from "./protocol.js";
import { restartDelay, TOKEN_EXPIRED } from "./protocol.js";
import { reduce } from "./reducer.js";
import { Seat, Subscription } from "./subscriptions.js";
import { TokenSource } from "./tokens.js";
import { watchForWaking } from "./waking.js";

/** @import { WebSocketClass } from "./line.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Watcher } from "./subscriptions.js" */
/** @import { Credentials } from "./tokens.js" */

/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss How the last line ended.
 * @property {number} code The close code; 1006 where there was none.
 * @property {string} reason
 * @property {number} retryAt When the next attempt is made, in milliseconds since the epoch.
 *
 * @typedef {{ resolve: (line: Line) => void, reject: (error: Error) => void }} Waiting
 */

/** Operations in one page of a list. */
const PAGE = 1_000;

export class Connection {
  /** @type {ConnectionState} */
  state = "connecting";
  /** Why it is over for good. @type {Error | null} */
  error = null;
  /** @type {Loss | null} */
  lost = null;
  /** `data` of the first frame of the latest line. @type {Frame} */
  welcome = {};

  /** @type {Set<() => void>} */
  observers = new Set();
  /** By the token, or the function that gives it. @type {Map<unknown, TokenSource>} */
  #sources = new Map();

  #url;
  #WebSocket;
  #memory = new Memory();
  #backoff = new Backoff();
  /** By a key of what they are. @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** The last event that is in a snapshot, by the id of the operation. @type {Map<string, string>} */
  #ahead = new Map();
  /** The line in use: opening, or open. @type {Line | null} */
  #current = null;
  /** The line, once everything is subscribed again. @type {Line | null} */
  #line = null;
  /** @type {Set<Waiting>} */
  #waiting = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #skew = 0;
  #stopWatching;

  /**
   * @param {string} url
   * @param {WebSocketClass} WebSocket
   */
  constructor(url, WebSocket) {
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#stopWatching = watchForWaking(
      () => this.#wake(),
      () => this.#current?.close(),
    );
    // Not before who makes it has said which tokens there are.
    this.#timer = setTimeout(() => this.#open(), 0);
  }

  /**
   * Close it for good.
   *
   * @param {Error} error Why.
   */
  stop(error) {
    if (this.error) return;
    this.error = error;
    clearTimeout(this.#timer);
    this.#stopWatching();
    this.#current?.close();
    this.#become("closed");
    for (const { reject } of this.#waiting) reject(error);
    for (const source of [...this.#sources.values()]) source.refuse(error);
  }

  // What its clients do.

  /**
   * Send a command and return its reply; without a line it waits for the next one.
   *
   * @param {Frame} command
   * @returns {Promise<Frame>}
   */
  async ask(command) {
    for (;;) {
      const line = this.#line ?? (await this.#connected());
      try {
        return await line.ask(command);
      } catch (error) {
        if (!(error instanceof LineLost)) throw error;
      }
    }
  }

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
    const seat = new Seat(watcher, source);
    subscription.seats.add(seat);
    // What is told it comes later, also where it is known already.
    queueMicrotask(() => this.#join(subscription, seat));
    const { operations } = subscription;
    return { operations, leave: () => this.#leave(key, subscription, seat) };
  }

  /**
   * Take one more client, and tell the sidecar its token if that is a new one.
   *
   * @param {Credentials} credentials
   * @param {(error: Error) => void} onRefused
   * @returns {TokenSource}
   */
  enter(credentials, onRefused) {
    const key = credentials.getToken ?? credentials.token;
    const known = this.#sources.get(key);
    const source = known ?? new TokenSource(credentials);
    this.#sources.set(key, source);
    source.holders.add(onRefused);
    const line = this.#line;
    if (!known && line) this.#introduce(source, line).then(() => this.#joinAll());
    return source;
  }

  /**
   * @param {TokenSource} source
   * @param {(error: Error) => void} onRefused What it entered with.
   * @returns {boolean} Whether it was the last client.
   */
  leave(source, onRefused) {
    source.holders.delete(onRefused);
    for (const [key, one] of this.#sources) {
      if (one.holders.size) continue;
      one.stop();
      this.#sources.delete(key);
    }
    return !this.#sources.size;
  }

  // One line after another.

  #open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#current = new Line(this.#WebSocket, this.#url, {
        onWelcome: (line) => this.#greet(line),
        onEvent: (event) => this.#take(event),
        onEnd: (code, reason) => this.#end(code, reason),
      });
    } catch (error) {
      this.stop(/** @type {Error} */ (error));
    }
  }

  /** @param {Line} line */
  async #greet(line) {
    const { data, timestamp } = /** @type {Frame} */ (line.welcome);
    this.welcome = data;
    this.#skew = Date.now() / 1000 - timestamp;
    await Promise.all([...this.#sources.values()].map((source) => this.#introduce(source, line)));
    await Promise.all([...this.#memory.resume()].map((one) => this.#resume(line, one)));
    if (this.#current !== line) return;
    this.#line = line;
    this.lost = null;
    this.#backoff.reset();
    this.#become("open");
    for (const { resolve } of this.#waiting) resolve(line);
    this.#waiting.clear();
    for (const one of this.#subscriptions.values()) if (!one.id) this.#list(one);
    this.#joinAll();
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.#current = this.#line = null;
    if (this.error) return;
    const renews = [...this.#sources.values()].some((source) => source.renews);
    if (isFinal(code) || (code === TOKEN_EXPIRED && !renews)) {
      this.stop(new ConnectionClosed(reason || "the connection was closed", code));
      return;
    }
    const delay = (restartDelay(code, reason) ?? this.#backoff.next()) * 1000;
    this.lost = { code, reason, retryAt: Date.now() + delay };
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#become(this.state === "connecting" ? "connecting" : "reconnecting");
  }

  #wake() {
    if (this.#current) this.#current.check();
    else if (this.#timer) this.#open();
  }

  /** @returns {Promise<Line>} */
  #connected() {
    if (this.error) return Promise.reject(this.error);
    return new Promise((resolve, reject) => this.#waiting.add({ resolve, reject }));
  }

  /** @param {ConnectionState} state */
  #become(state) {
    this.state = state;
    for (const observer of [...this.observers]) observer();
  }

  // Tokens.

  /**
   * Tell a line the token of a client; a line that cannot be told, because there is no token now,
   * is closed, and opened again later.
   *
   * @param {TokenSource} source
   * @param {Line} line
   */
  async #introduce(source, line) {
    try {
      await this.#present(source, line);
    } catch (error) {
      if (error instanceof LineLost) return;
      if (error instanceof CommandError) source.refuse(error);
      else line.fail(`no token: ${error}`);
    }
  }

  /**
   * @param {TokenSource} source
   * @param {Line} line
   */
  async #present(source, line, again = false) {
    const token = await source.get();
    try {
      const reply = token ? await line.ask({ command: "authenticate", token }) : {};
      source.presentedTo = line;
      const left = (reply.expires_at ?? Infinity) - (Date.now() / 1000 - this.#skew);
      source.renewIn(left, () => this.#renew(source, line));
    } catch (error) {
      // What was given may have been kept too long; once more, and it is the last word.
      if (again || !source.renews || !(error instanceof CommandError)) throw error;
      await this.#present(source, line, true);
    }
  }

  /**
   * @param {TokenSource} source
   * @param {Line} line
   */
  #renew(source, line) {
    if (this.#current !== line || !source.holders.size) return;
    this.#present(source, line).catch(() => {
      // The old one may hold for a while; when it does not, the line ends and says so.
      source.renewIn(this.#backoff.next(), () => this.#renew(source, line));
    });
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

  #joinAll() {
    for (const subscription of this.#subscriptions.values()) {
      for (const seat of subscription.seats) this.#join(subscription, seat);
    }
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
    await this.#introduce(seat.source, line);
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
    seat.watcher.begin();
  }

  /**
   * Learn how the operations of a selector stand, newest first.
   *
   * @param {Subscription} subscription
   */
  async #list(subscription) {
    const filter = subscription.fields.operation_id ? {} : subscription.fields;
    let [cursor, left] = [null, subscription.limit];
    /** @type {Operation[]} */
    const found = [];
    try {
      do {
        const limit = Math.min(left, PAGE);
        const reply = await this.ask({ command: "list_operations", ...filter, limit, cursor });
        found.push(...reply.operations);
        left -= reply.operations.length;
        cursor = reply.next;
      } while (cursor && left > 0 && subscription.seats.size);
    } catch (error) {
      if (error instanceof CommandError) this.#refuse(subscription.fields, error);
    }
    for (const operation of found.reverse()) this.#adopt(operation);
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
      this.#memory.selectors.delete(key);
      if (subscription.id) this.#memory.remove(subscription.id);
      const command = { command: "unsubscribe", ...subscription.fields };
      this.#line?.ask(command).catch(() => {});
    }, 0);
  }

  // Events.

  /** @param {string} id */
  *#subscriptionsOf(id) {
    const byId = this.#subscriptions.get(JSON.stringify({ operation_id: id }));
    if (byId) yield byId;
    for (const one of this.#subscriptions.values()) if (!one.id) yield one;
  }

  /** @param {ProgressEvent} event */
  #take(event) {
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
    if (!before && !operation.operation_type) this.#learn(id);
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
  async #learn(id) {
    const reply = await this.ask({ command: "get_operation", operation_id: id }).catch(() => null);
    if (reply?.operation) this.#adopt(reply.operation);
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

