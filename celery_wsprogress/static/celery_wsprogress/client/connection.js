/**
 * The connection to one sidecar, shared by all clients of one address. It opens one socket after
 * another, authenticates the tokens on each, and hands events to the subscription manager.
 *
 * Runs in: a page, a worker, or Node.
 */

import { Backoff } from "./backoff.js";
import { callSafely } from "./callbacks.js";
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
 * @typedef {object} Loss The end of the last socket.
 * @property {number} code The close code; 1006 if there was none.
 * @property {string} reason
 * @property {number} retryAt Time of the next attempt, in milliseconds since the epoch.
 */

export class Connection {
  /** @type {ConnectionState} */
  state = "connecting";
  /** The reason why the connection is closed for good. @type {Error | null} */
  error = null;
  /** @type {Loss | null} */
  lost = null;
  /** `data` of the first frame of the latest socket. @type {Frame} */
  welcome = {};

  /** All subscriptions of its clients. */
  subscriptions = new SubscriptionManager();
  /** @type {Set<() => void>} */
  observers = new Set();
  /** By the token, or by the function that returns it. @type {Map<unknown, TokenSource>} */
  #sources = new Map();

  #connect;
  #backoff = new Backoff();
  /** The socket in use, opening or open. @type {Socket | null} */
  #current = null;
  /** The socket in use, once its welcome frame has come. @type {Socket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /**
   * Seconds from `performance.now()`, which never jumps, to the clock of the sidecar; before the
   * first connection to that of this machine.
   */
  #clockOffset = performance.timeOrigin / 1000;
  #stopWakeup;

  /** @param {() => any} connect Returns a new WebSocket. */
  constructor(connect) {
    this.#connect = connect;
    this.#stopWakeup = onWakeup(
      () => this.#resume(),
      () => this.#suspend(),
    );
    // Later than the constructor: the client adds its token first.
    this.#timer = setTimeout(() => this.#open());
  }

  /**
   * Close the connection for good.
   *
   * @param {Error} error The reason.
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

  // Called by clients.

  /**
   * Send a command and return its reply. Without a socket that knows the token, wait for one;
   * after a loss, send the command again.
   *
   * @param {Frame} command
   * @param {TokenSource} source The token that grants the command.
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

  /** Epoch seconds by the clock of the sidecar. */
  get now() {
    return this.#clockOffset + performance.now() / 1000;
  }

  /**
   * Return the state for one client: it is open when the socket knows the token of the client.
   *
   * @param {TokenSource} source
   * @returns {ConnectionState}
   */
  stateFor(source) {
    if (this.state !== "open" || source.socket === this.#socket) return this.state;
    return "connecting";
  }

  /**
   * Add a client, and send its token to the sidecar if that is new.
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
   * @param {(error: Error) => void} onRefused As given to `addClient`.
   * @param {Error} error The reason.
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

  // Sockets.

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
    this.subscriptions.onClose();
    if (this.error) return;
    // 4001 is not final: on the next socket only clients whose token has expired are rejected.
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

  /** Close the socket until resumed: an open one keeps a page out of the back/forward cache. */
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
   * Send the token of a client and resume its subscriptions; called again to renew the token. A
   * failure of one token affects no other client.
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
      // No token now. The one in use may still be valid; if not, the sidecar closes with 4001.
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
      source.renewAfter(
        (reply.expires_at ?? Infinity) - this.now,
        () => this.#authenticate(source, socket),
      );
    } catch (error) {
      // The function may have returned a cached token: ask once more.
      if (last || !(error instanceof CommandError)) throw error;
      await this.#sendToken(source, socket, true);
    }
  }
}
