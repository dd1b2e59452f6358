/**
 * One WebSocket: from the attempt to open it, over its welcome, to its end.
 *
 * Runs in: a page, a worker, or Node.
 */

import { CommandError, LOST } from "./protocol.js";

/** @import { Frame } from "./protocol.js" */

/** Seconds to the welcome: a sidecar that reads its log lets a handshake wait for ten. */
const OPEN_TIMEOUT = 15;

/** Seconds in which a ping is to be answered. */
const PONG_TIMEOUT = 10;

/** Seconds of silence after which a ping is sent, where the welcome does not say. */
const HEARTBEAT = 20;

/**
 * What frames with whole numbers that JavaScript cannot hold were made of; of a history it is by
 * its list. @type {WeakMap<object, string>}
 */
export const texts = new WeakMap();

/** The connection ended before the reply came. Never leaves the client. */
export class LineLost extends Error {}

/**
 * @typedef {object} Ends Where a line says what happens to it.
 * @property {(line: Line) => void} onWelcome It is open, and the first frame is read.
 * @property {(event: any) => void} onEvent
 * @property {(code: number, reason: string) => void} onEnd Once, and last.
 *
 * @typedef {new (url: string) => any} WebSocketClass
 *
 * @typedef {{ resolve: (reply: Frame) => void, reject: (error: Error) => void }} Waiting
 */

export class Line {
  /** The first frame. @type {Frame | null} */
  welcome = null;

  #socket;
  #ends;
  #ended = false;
  #number = 0;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #heard = 0;
  #heartbeat = HEARTBEAT;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;

  /**
   * @param {any} socket
   * @param {Ends} ends
   */
  constructor(socket, ends) {
    this.#ends = ends;
    this.#socket = socket;
    this.#expect(OPEN_TIMEOUT, "no answer");
    this.#socket.onmessage = (/** @type {{ data: any }} */ { data }) => this.#take(data);
    this.#socket.onclose = (/** @type {{ code: number, reason: string }} */ closed) =>
      this.#end(closed.code, String(closed.reason));
    // What there is to know of an error comes with `close`, which follows at once; but Node's own
    // WebSocket says nothing more where nobody answers.
    this.#socket.onerror = () => this.welcome || setTimeout(() => this.fail("no connection"));
  }

  /**
   * Send a command and wait for its reply.
   *
   * @param {Frame} command
   * @param {(reply: Frame) => void} [onReply] Called with the reply before anything behind it is
   *   read; who waits for the promise may be called later.
   * @returns {Promise<Frame>} Rejects with a CommandError where the sidecar does not take it, and
   *   with LineLost where the connection ends before it says so.
   */
  ask(command, onReply = () => {}) {
    if (this.#ended) return Promise.reject(new LineLost());
    const number = ++this.#number;
    this.#socket.send(JSON.stringify({ ...command, request_id: number }));
    return new Promise((resolve, reject) =>
      this.#waiting.set(number, {
        resolve: (reply) => resolve((onReply(reply), reply)),
        reject,
      }),
    );
  }

  /** Find out whether it still lives, now. */
  check() {
    if (this.#deadline || this.#ended) return;
    this.#expect(PONG_TIMEOUT, "no answer to a ping");
    this.ask({ command: "ping" }).catch(() => {});
  }

  /** Close it for good; its end is told at once. */
  close() {
    this.#end(1000, "");
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
  #take(data) {
    if (this.#ended) return;
    this.#heard = performance.now();
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    /** @type {any} */
    let frame;
    /** @type {string} */
    let type;
    try {
      frame = JSON.parse(data);
      type = frame.event_type;
      if (/\d{16}/.test(data)) texts.set(frame.events ?? frame, data);
    } catch {
      return this.#end(1007, "no JSON");
    }
    if (type === "connected") this.#open(frame);
    else if (!this.welcome) this.fail("it is no sidecar");
    else if (type === "reply") this.#resolve(frame);
    else this.#ends.onEvent(frame);
  }

  /** @param {Frame} welcome */
  #open(welcome) {
    this.welcome = welcome;
    this.#heartbeat = welcome.data.heartbeat ?? HEARTBEAT;
    this.#listen();
    this.#ends.onWelcome(this);
  }

  /** @param {Frame} reply */
  #resolve(reply) {
    const waiting = this.#waiting.get(reply.request_id);
    this.#waiting.delete(reply.request_id);
    if (!("error" in reply)) waiting?.resolve(reply);
    else waiting?.reject(new CommandError(reply.code ?? "", reply.error));
  }

  /** Wait until nothing was heard for a heartbeat. */
  #listen() {
    const left = this.#heard + this.#heartbeat * 1000 - performance.now();
    if (left <= 0) this.check();
    this.#silence = setTimeout(() => this.#listen(), left > 0 ? left : this.#heartbeat * 1000);
  }

  /**
   * End it unless something is heard in time.
   *
   * @param {number} seconds
   * @param {string} reason
   */
  #expect(seconds, reason) {
    this.#deadline = setTimeout(() => this.#end(LOST, reason), seconds * 1000);
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#silence);
    clearTimeout(this.#deadline);
    // A socket whose other side is gone may take a minute to close; nobody waits for it.
    this.#socket.close();
    for (const { reject } of this.#waiting.values()) reject(new LineLost());
    this.#ends.onEnd(code, reason);
  }
}
