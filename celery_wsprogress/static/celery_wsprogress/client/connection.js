/**
 * One socket after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Backoff } from "./backoff.js";
import { callSafely } from "./handle.js";
import { Socket, ConnectionLost } from "./socket.js";
import { isFinal, restartDelay } from "./close_codes.js";
import { CommandError, ConnectionClosed } from "./protocol.js";
import { TokenSource } from "./tokens.js";
import { onWakeup } from "./wakeup.js";
import { SubscriptionManager } from "./subscription_manager.js";

/** @import { Frame } from "./protocol.js" */
/** @import { Credentials } from "./tokens.js" */

/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss How the last socket ended.
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
  /** `data` of the first frame of the latest socket. @type {Frame} */
  welcome = {};

  /** What is watched through it. */
  subscriptions = new SubscriptionManager();
  /** @type {Set<() => void>} */
  observers = new Set();
  /** By the token, or the function that gives it. @type {Map<unknown, TokenSource>} */
  #sources = new Map();

  #connect;
  #backoff = new Backoff();
  /** The socket in use: opening, or open. @type {Socket | null} */
  #current = null;
  /** The socket, once it is welcome. @type {Socket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Seconds that the sidecar's clock is ahead of one that begins with the page. */
  #clockOffset = 0;
  #stopWakeup;

  /** @param {() => any} connect Makes a WebSocket. */
  constructor(connect) {
    this.#connect = connect;
    this.#stopWakeup = onWakeup(
      () => this.#resume(),
      () => this.#suspend(),
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
    this.#stopWakeup();
    this.#current?.close();
    this.#setState("closed");
    for (const source of [...this.#sources.values()]) source.reject(error);
  }

  // What its clients do.

  /**
   * Send a command and return its reply; without a socket, or while it does not know the token, it
   * waits for the next one.
   *
   * @param {Frame} command
   * @param {TokenSource} source Whose token grants it.
   * @returns {Promise<Frame>}
   */
  async request(command, source) {
    for (;;) {
      const socket = this.#socket;
      try {
        if (socket && source.socket === socket) return await socket.request(command);
        if (this.error) throw this.error;
        await source.ready.promise;
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
      }
    }
  }

  /**
   * How it stands for a client: it is open when the socket knows the client's token.
   *
   * @param {TokenSource} source
   * @returns {ConnectionState}
   */
  stateFor(source) {
    if (this.state !== "open" || source.socket === this.#socket) return this.state;
    return "connecting";
  }

  /**
   * Take one more client, and tell the sidecar its token if that is a new one.
   *
   * @param {Credentials} credentials
   * @param {(error: Error) => void} onRefused
   * @returns {TokenSource}
   */
  addClient(credentials, onRefused) {
    const key = credentials.getToken ?? credentials.token;
    const known = this.#sources.get(key);
    const source = known ?? new TokenSource(credentials);
    this.#sources.set(key, source);
    source.handlers.add(onRefused);
    const socket = this.#socket;
    if (!known && socket) this.#authenticate(source, socket);
    return source;
  }

  /**
   * @param {TokenSource} source
   * @param {(error: Error) => void} onRefused What it entered with.
   * @param {Error} error Why.
   * @returns {boolean} Whether it was the last client.
   */
  removeClient(source, onRefused, error) {
    source.handlers.delete(onRefused);
    for (const [key, one] of this.#sources) {
      if (one.handlers.size) continue;
      one.stop();
      one.reject(error);
      this.#sources.delete(key);
    }
    return !this.#sources.size;
  }

  // One socket after another.

  #open() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      this.#current = new Socket(this.#connect(), this);
    } catch (error) {
      this.stop(/** @type {Error} */ (error));
    }
  }

  /** @param {any} event */
  onEvent(event) {
    this.subscriptions.onEvent(event);
  }

  /** @param {Socket} socket */
  onWelcome(socket) {
    const { data, timestamp } = /** @type {Frame} */ (socket.welcome);
    this.welcome = data;
    this.#clockOffset = timestamp - performance.now() / 1000;
    this.#socket = socket;
    this.lost = null;
    this.state = "open";
    this.subscriptions.onConnect(socket, (source) => this.#sendToken(source, socket));
    for (const source of [...this.#sources.values()]) this.#authenticate(source, socket);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  onClose(code, reason) {
    this.#current = this.#socket = null;
    this.subscriptions.onDisconnect();
    if (this.error) return;
    // Where a token has expired, the next socket refuses who has no other one, and nobody else.
    if (isFinal(code))
      return this.stop(new ConnectionClosed(reason || "the connection was closed", code));
    const delay = (restartDelay(code, reason) ?? this.#backoff.next()) * 1000;
    this.lost = { code, reason, retryAt: Date.now() + delay };
    this.#timer = setTimeout(() => this.#open(), delay);
    this.#setState(this.state === "connecting" ? this.state : "reconnecting");
  }

  #resume() {
    if (this.#current) this.#current.ping();
    else if (this.#timer) this.#open();
  }

  /** Have no socket until it is woken: a page with an open socket may not be kept. */
  #suspend() {
    this.#current?.close();
    clearTimeout(this.#timer);
  }

  /** @param {ConnectionState} state */
  #setState(state) {
    this.state = state;
    for (const observer of [...this.observers]) callSafely(observer);
  }

  // Tokens.

  /**
   * Tell a socket the token of a client, and let it go on with what it watched; and tell it a new one
   * before that one expires. What goes wrong with one token is no other client's affair.
   *
   * @param {TokenSource} source
   * @param {Socket} socket
   */
  async #authenticate(source, socket) {
    if (this.#current !== socket || !source.handlers.size) return;
    const renewal = source.socket === socket;
    try {
      await this.#sendToken(source, socket);
      if (renewal) return;
      await this.subscriptions.resume(socket, source);
      if (this.#current !== socket) return;
      source.accept(socket);
      this.#backoff.reset();
    } catch (error) {
      if (error instanceof ConnectionLost || this.#current !== socket) return;
      if (error instanceof CommandError && !renewal) source.reject(error);
      // There is none now. The one before may hold for a while; else the socket ends and says so.
      else source.retryAfter(error, () => this.#authenticate(source, socket));
      if (renewal) return;
    }
    this.#setState("open");
    if (source.socket === socket) this.subscriptions.onAuthenticated(source);
  }

  /**
   * @param {TokenSource} source
   * @param {Socket} socket
   */
  async #sendToken(source, socket, last = !source.canRenew) {
    const token = await source.get();
    try {
      const reply = token ? await socket.request({ command: "authenticate", token }) : {};
      const now = this.#clockOffset + performance.now() / 1000;
      source.renewAfter((reply.expires_at ?? Infinity) - now, () => this.#authenticate(source, socket));
    } catch (error) {
      // What was given may have been kept too long; once more, and it is the last word.
      if (last || !(error instanceof CommandError)) throw error;
      await this.#sendToken(source, socket, true);
    }
  }
}
