/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Backoff } from "./backoff.js";
import { Line, LineLost } from "./line.js";
import { CommandError, ConnectionClosed, isFinal, restartDelay, TOKEN_EXPIRED } from "./protocol.js";
import { TokenSource } from "./tokens.js";
import { watchForWaking } from "./waking.js";
import { Watching } from "./watching.js";

/** @import { WebSocketClass } from "./line.js" */
/** @import { Frame } from "./protocol.js" */
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
  watching = new Watching((command, onReply) => this.ask(command, onReply));
  /** @type {Set<() => void>} */
  observers = new Set();
  /** By the token, or the function that gives it. @type {Map<unknown, TokenSource>} */
  #sources = new Map();

  #url;
  #WebSocket;
  #backoff = new Backoff();
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
      () => this.#sleep(),
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
   * @param {(reply: Frame) => void} [onReply] Called before anything behind the reply is read.
   * @returns {Promise<Frame>}
   */
  async ask(command, onReply) {
    for (;;) {
      const line = this.#line ?? (await this.#connected());
      try {
        return await line.ask(command, onReply);
      } catch (error) {
        if (!(error instanceof LineLost)) throw error;
      }
    }
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
    if (!known && line) this.#introduce(source, line).then(() => this.watching.joinAll());
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
        onEvent: (event) => this.watching.take(event),
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
    await this.watching.resume(line);
    if (this.#current !== line) return;
    this.#line = line;
    this.lost = null;
    this.#backoff.reset();
    this.#become("open");
    for (const { resolve } of this.#waiting) resolve(line);
    this.#waiting.clear();
    this.watching.open(line, (source) => this.#introduce(source, line));
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    this.#current = this.#line = null;
    this.watching.lose();
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

  /** Have no line until it is woken: a page with an open socket may not be kept. */
  #sleep() {
    this.#current?.close();
    clearTimeout(this.#timer);
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
}
