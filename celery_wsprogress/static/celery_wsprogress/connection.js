/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Backoff } from "./backoff.js";
import { guarded } from "./handle.js";
import { Line, LineLost } from "./line.js";
import { CommandError, ConnectionClosed, isFinal, restartDelay } from "./protocol.js";
import { TokenSource } from "./tokens.js";
import { watchForWaking } from "./waking.js";
import { Watching } from "./watching.js";

/** @import { Frame } from "./protocol.js" */
/** @import { Credentials } from "./tokens.js" */

/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss How the last line ended.
 * @property {number} code The close code; 1006 where there was none.
 * @property {string} reason
 * @property {number} retryAt When the next attempt is made, in milliseconds since the epoch.
 */

export class Connection {
  /** @type {ConnectionState} */
  state = "connecting";
  /** Why it is over for good. @type {Error | null} */
  error = null;
  /** @type {Loss | null} */
  lost = null;
  /** `data` of the first frame of the latest line. @type {Frame} */
  welcome = {};

  /** What is watched through it. */
  watching = new Watching();
  /** @type {Set<() => void>} */
  observers = new Set();
  /** By the token, or the function that gives it. @type {Map<unknown, TokenSource>} */
  #sources = new Map();

  #connect;
  #backoff = new Backoff();
  /** The line in use: opening, or open. @type {Line | null} */
  #current = null;
  /** The line, once it is welcome. @type {Line | null} */
  #line = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Seconds that the sidecar's clock is ahead of one that begins with the page. */
  #ahead = 0;
  #stopWatching;

  /** @param {() => any} connect Makes a WebSocket. */
  constructor(connect) {
    this.#connect = connect;
    this.#stopWatching = watchForWaking(
      () => this.#wake(),
      () => this.#sleep(),
    );
    // Not before who makes it has said which tokens there are.
    this.#timer = setTimeout(() => this.#open());
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
    for (const source of [...this.#sources.values()]) source.refuse(error);
  }

  // What its clients do.

  /**
   * Send a command and return its reply; without a line, or while it does not know the token, it
   * waits for the next one.
   *
   * @param {Frame} command
   * @param {TokenSource} source Whose token grants it.
   * @returns {Promise<Frame>}
   */
  async ask(command, source) {
    for (;;) {
      const line = this.#line;
      try {
        if (line && source.presentedTo === line) return await line.ask(command);
        if (this.error) throw this.error;
        await source.known.promise;
      } catch (error) {
        if (!(error instanceof LineLost)) throw error;
      }
    }
  }

  /**
   * How it stands for a client: it is open when the line knows the client's token.
   *
   * @param {TokenSource} source
   * @returns {ConnectionState}
   */
  stateFor(source) {
    if (this.state !== "open" || source.presentedTo === this.#line) return this.state;
    return "connecting";
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
    if (!known && line) this.#admit(source, line);
    return source;
  }

  /**
   * @param {TokenSource} source
   * @param {(error: Error) => void} onRefused What it entered with.
   * @param {Error} error Why.
   * @returns {boolean} Whether it was the last client.
   */
  leave(source, onRefused, error) {
    source.holders.delete(onRefused);
    for (const [key, one] of this.#sources) {
      if (one.holders.size) continue;
      one.stop();
      one.refuse(error);
      this.#sources.delete(key);
    }
    return !this.#sources.size;
  }

  // One line after another.

  #open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#current = new Line(this.#connect(), this);
    } catch (error) {
      this.stop(/** @type {Error} */ (error));
    }
  }

  /** @param {any} event */
  onEvent(event) {
    this.watching.take(event);
  }

  /** @param {Line} line */
  onWelcome(line) {
    const { data, timestamp } = /** @type {Frame} */ (line.welcome);
    this.welcome = data;
    this.#ahead = timestamp - performance.now() / 1000;
    this.#line = line;
    this.lost = null;
    this.state = "open";
    this.watching.open(line, (source) => this.#present(source, line));
    for (const source of [...this.#sources.values()]) this.#admit(source, line);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  onEnd(code, reason) {
    this.#current = this.#line = null;
    this.watching.lose();
    if (this.error) return;
    // Where a token has expired, the next line refuses who has no other one, and nobody else.
    if (isFinal(code))
      return this.stop(new ConnectionClosed(reason || "the connection was closed", code));
    const delay = (restartDelay(code, reason) ?? this.#backoff.next()) * 1000;
    this.lost = { code, reason, retryAt: Date.now() + delay };
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#become(this.state === "connecting" ? this.state : "reconnecting");
  }

  #wake() {
    if (this.#current) this.#current.check();
    else if (this.#timer) this.#open();
  }

  /** Have no line until it is woken: a page with an open socket may not be kept. */
  #sleep() {
    this.#current?.close();
    clearTimeout(this.#timer);
  }

  /** @param {ConnectionState} state */
  #become(state) {
    this.state = state;
    for (const observer of [...this.observers]) guarded(observer);
  }

  // Tokens.

  /**
   * Tell a line the token of a client, and let it go on with what it watched; and tell it a new one
   * before that one expires. What goes wrong with one token is no other client's affair.
   *
   * @param {TokenSource} source
   * @param {Line} line
   */
  async #admit(source, line) {
    if (this.#current !== line || !source.holders.size) return;
    const again = source.presentedTo === line;
    try {
      await this.#present(source, line);
      if (again) return;
      await this.watching.resume(line, source);
      if (this.#current !== line) return;
      source.present(line);
      this.#backoff.reset();
    } catch (error) {
      if (error instanceof LineLost || this.#current !== line) return;
      if (error instanceof CommandError && !again) source.refuse(error);
      // There is none now. The one before may hold for a while; else the line ends and says so.
      else source.miss(error, () => this.#admit(source, line));
      if (again) return;
    }
    this.#become("open");
    if (source.presentedTo === line) this.watching.admit(source);
  }

  /**
   * @param {TokenSource} source
   * @param {Line} line
   */
  async #present(source, line, last = !source.renews) {
    const token = await source.get();
    try {
      const reply = token ? await line.ask({ command: "authenticate", token }) : {};
      const now = this.#ahead + performance.now() / 1000;
      source.renewIn((reply.expires_at ?? Infinity) - now, () => this.#admit(source, line));
    } catch (error) {
      // What was given may have been kept too long; once more, and it is the last word.
      if (last || !(error instanceof CommandError)) throw error;
      await this.#present(source, line, true);
    }
  }
}
