/**
 * One WebSocket: from the attempt to open it, over its welcome, to its end.
 *
 * Runs in: a page, a worker, or Node.
 */

import { INVALID_DATA, LOST, NORMAL } from "./close_codes.js";
import { CommandError } from "./protocol.js";

/** @import { Frame } from "./protocol.js" */

/** Seconds to the welcome: a sidecar that reads its log lets a handshake wait for ten. */
const OPEN_TIMEOUT = 15;

/** Seconds in which a ping is to be answered. */
const PONG_TIMEOUT = 10;

/** Seconds of silence after which a ping is sent, where the welcome does not say. */
const DEFAULT_HEARTBEAT = 20;

/**
 * What frames with whole numbers that JavaScript cannot hold were made of; of a history it is by
 * its list. @type {WeakMap<object, string>}
 */
export const frameTexts = new WeakMap();

/** The connection ended before the reply came. Never leaves the client. */
export class ConnectionLost extends Error {}

/**
 * @typedef {object} SocketHandlers Where a line says what happens to it.
 * @property {(line: Socket) => void} onWelcome It is open, and the first frame is read.
 * @property {(event: any) => void} onEvent
 * @property {(code: number, reason: string) => void} onClose Once, and last.
 *
 * @typedef {new (url: string) => any} WebSocketClass
 *
 * @typedef {{ resolve: (reply: Frame) => void, reject: (error: Error) => void }} PendingReply
 */

export class Socket {
  /** The first frame. @type {Frame | null} */
  welcome = null;

  #webSocket;
  #handlers;
  #ended = false;
  #lastRequestId = 0;
  /** @type {Map<number, PendingReply>} */
  #pending = new Map();
  #lastFrameAt = 0;
  #heartbeat = DEFAULT_HEARTBEAT;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #heartbeatTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;

  /**
   * @param {any} socket
   * @param {SocketHandlers} handlers
   */
  constructor(socket, handlers) {
    this.#handlers = handlers;
    this.#webSocket = socket;
    this.#startDeadline(OPEN_TIMEOUT, "no answer");
    this.#webSocket.onmessage = (/** @type {{ data: any }} */ { data }) => this.#onMessage(data);
    this.#webSocket.onclose = (/** @type {{ code: number, reason: string }} */ closed) =>
      this.#end(closed.code, String(closed.reason));
    // What there is to know of an error comes with `close`, which follows at once; but Node's own
    // WebSocket says nothing more where nobody answers.
    this.#webSocket.onerror = () => this.welcome || setTimeout(() => this.fail("no connection"));
  }

  /**
   * Send a command and wait for its reply.
   *
   * @param {Frame} command
   * @param {(reply: Frame) => void} [onReply] Called with the reply before anything behind it is
   *   read; who waits for the promise may be called later.
   * @returns {Promise<Frame>} Rejects with a CommandError where the sidecar does not take it, and
   *   with ConnectionLost where the connection handlers before it says so.
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

  /** Find out whether it still lives, now. */
  ping() {
    if (this.#deadline || this.#ended) return;
    this.#startDeadline(PONG_TIMEOUT, "no answer to a ping");
    this.request({ command: "ping" }).catch(() => {});
  }

  /** Close it for good; its end is told at once. */
  close() {
    this.#end(NORMAL, "");
  }

  /**
   * Let go of it: it is of no use.
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
      return this.#end(INVALID_DATA, "no JSON");
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

  /** Wait until nothing was heard for a heartbeat. */
  #watchHeartbeat() {
    const left = this.#lastFrameAt + this.#heartbeat * 1000 - performance.now();
    if (left <= 0) this.ping();
    this.#heartbeatTimer = setTimeout(() => this.#watchHeartbeat(), left > 0 ? left : this.#heartbeat * 1000);
  }

  /**
   * End it unless something is heard in time.
   *
   * @param {number} seconds
   * @param {string} reason
   */
  #startDeadline(seconds, reason) {
    this.#deadline = setTimeout(() => this.#end(LOST, reason), seconds * 1000);
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
    // A socket whose other side is gone may take a minute to close; nobody waits for it.
    this.#webSocket.close();
    for (const { reject } of this.#pending.values()) reject(new ConnectionLost());
    this.#handlers.onClose(code, reason);
  }
}
