/**
 * One WebSocket: opening, welcome, commands and replies, heartbeat, close. Created by
 * `connection.js`.
 *
 * Runs in: a page, a worker, or Node.
 */

import { LOST, NORMAL, UNREADABLE } from "./close_codes.js";
import { CommandError } from "./protocol.js";

/** @import { Frame } from "./protocol.js" */

/**
 * Seconds until the welcome frame: a sidecar that reads its log delays a handshake by up to 10 s.
 */
const OPEN_TIMEOUT = 15;

/** Seconds until the reply to a ping. */
const PONG_TIMEOUT = 10;

/** Seconds without a frame after which a ping is sent, unless the welcome frame sets them. */
const DEFAULT_HEARTBEAT = 20;

/**
 * The texts of frames with integers that JavaScript cannot hold, by frame, or by the list of a
 * history. @type {WeakMap<object, string>}
 */
export const frameTexts = new WeakMap();

/** The socket closed before the reply came. Not visible to users of the client. */
export class ConnectionLost extends Error {}

/**
 * @typedef {object} SocketHandlers The owner of a socket.
 * @property {(socket: Socket) => void} onWelcome Called when the welcome frame has come.
 * @property {(event: any) => void} onEvent
 * @property {(code: number, reason: string) => void} onClose Called once, and last.
 *
 * @typedef {new (url: string) => any} WebSocketClass
 *
 * @typedef {{ resolve: (reply: Frame) => void, reject: (error: Error) => void }} PendingReply
 */

export class Socket {
  /** The welcome frame. @type {Frame | null} */
  welcome = null;

  #webSocket;
  #handlers;
  #ended = false;
  #lastRequestId = 0;
  /** @type {Map<number, PendingReply>} */
  #pending = new Map();
  #lastFrameAt = 0;
  /** Seconds, from the welcome frame. */
  #heartbeat = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #heartbeatTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;

  /**
   * @param {any} webSocket
   * @param {SocketHandlers} handlers
   */
  constructor(webSocket, handlers) {
    this.#handlers = handlers;
    this.#webSocket = webSocket;
    this.#startDeadline(OPEN_TIMEOUT, "no answer");
    webSocket.onmessage = (/** @type {{ data: any }} */ { data }) => this.#onMessage(data);
    webSocket.onclose = (/** @type {{ code: number, reason: string }} */ closed) =>
      this.#end(closed.code, String(closed.reason));
    // A `close` event follows each `error` (HTML standard, WebSockets), except in Node's own
    // WebSocket when nobody answers.
    webSocket.onerror = () => this.welcome || setTimeout(() => this.fail("no connection"));
  }

  /**
   * Send a command and wait for its reply.
   *
   * @param {Frame} command
   * @param {(reply: Frame) => void} [onReply] Called with the reply before the next frame is read;
   *   the promise may resolve later.
   * @returns {Promise<Frame>} Rejects with a CommandError if the sidecar rejects the command, and
   *   with ConnectionLost if the socket closes first.
   */
  request(command, onReply = () => {}) {
    if (this.#ended) return Promise.reject(new ConnectionLost());
    const number = ++this.#lastRequestId;
    this.#webSocket.send(JSON.stringify({ ...command, request_id: number }));
    return new Promise((resolve, reject) =>
      this.#pending.set(number, {
        resolve: (reply) => resolve((onReply(reply), reply)),
        reject,
      }),
    );
  }

  /** Send a ping now; without an answer in time the socket is closed. */
  ping() {
    if (this.#deadline || this.#ended) return;
    this.#startDeadline(PONG_TIMEOUT, "no answer to a ping");
    this.request({ command: "ping" }).catch(() => {});
  }

  /** Close the socket; `onClose` is called at once. */
  close() {
    this.#end(NORMAL, "");
  }

  /**
   * Close the socket as lost.
   *
   * @param {string} reason
   */
  fail(reason) {
    this.#end(LOST, reason);
  }

  /** @param {any} data */
  #onMessage(data) {
    if (this.#ended) return;
    this.#lastFrameAt = performance.now();
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    /** @type {any} */
    let frame;
    /** @type {string} */
    let type;
    try {
      frame = JSON.parse(data);
      type = frame.event_type;
      if (/\d{16}/.test(data)) frameTexts.set(frame.events ?? frame, data);
    } catch {
      return this.#end(UNREADABLE, "no JSON");
    }
    if (type === "connected") this.#onWelcome(frame);
    else if (!this.welcome) this.fail("it is no sidecar");
    else if (type === "reply") this.#onReply(frame);
    else this.#handlers.onEvent(frame);
  }

  /** @param {Frame} welcome */
  #onWelcome(welcome) {
    this.welcome = welcome;
    this.#heartbeat = welcome.data.heartbeat ?? DEFAULT_HEARTBEAT;
    this.#watchHeartbeat();
    this.#handlers.onWelcome(this);
  }

  /** @param {Frame} reply */
  #onReply(reply) {
    const waiting = this.#pending.get(reply.request_id);
    this.#pending.delete(reply.request_id);
    if (!("error" in reply)) waiting?.resolve(reply);
    else waiting?.reject(new CommandError(reply.code ?? "", reply.error));
  }

  /** Ping whenever no frame has come for a heartbeat. */
  #watchHeartbeat() {
    const left = this.#lastFrameAt + this.#heartbeat * 1000 - performance.now();
    if (left <= 0) this.ping();
    this.#heartbeatTimer = setTimeout(() => this.#watchHeartbeat(), left > 0 ? left : this.#heartbeat * 1000);
  }

  /**
   * Close the socket unless a frame comes in time.
   *
   * @param {number} seconds
   * @param {string} reason
   */
  #startDeadline(seconds, reason) {
    this.#deadline = setTimeout(() => this.fail(reason), seconds * 1000);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#heartbeatTimer);
    clearTimeout(this.#deadline);
    // The `close` event of a dead connection may take a minute: do not wait for it.
    this.#webSocket.close();
    for (const { reject } of this.#pending.values()) reject(new ConnectionLost());
    this.#handlers.onClose(code, reason);
  }
}
