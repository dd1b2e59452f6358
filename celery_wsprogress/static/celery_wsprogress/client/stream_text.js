/**
 * A stream of a task put together: its chunks, and its text so far.
 *
 * Pure.
 */

/** @import { ProgressEvent } from "./protocol.js" */

/** Stands in the text where chunks are missing. */
const GAP = "…";

/** What has come of one stream in the newest run. Events may come again; each counts once. */
export class StreamText {
  /** The pieces of text, behind each other; of another value its JSON, on a line of its own. */
  text = "";
  /** @type {any[]} */
  chunks = [];
  closed = false;
  /** Whether chunks are missing: the beginning is not held any more, or the worker dropped some. */
  missing = false;

  #name;
  #due = 0;
  /** @type {string | null} */
  #run = null;
  /** @type {Set<string>} */
  #runs = new Set();

  /** @param {string | null} name The name of the stream. */
  constructor(name) {
    this.#name = name;
  }

  /** Number of its runs that have sent something: with another one all begins anew. */
  get runs() {
    return this.#runs.size;
  }

  /**
   * Take an event of the operation.
   *
   * @param {ProgressEvent} event
   * @returns {boolean} Whether it has changed anything.
   */
  add({ event_type: type, run = "", data }) {
    if (type !== "chunk" || data.stream !== this.#name) return false;
    if (run !== this.#run) {
      // What a new connection repeats of an earlier run.
      if (this.#runs.has(run)) return false;
      this.#begin(run);
    }
    const { index, chunk, closed = false } = data;
    if (index < this.#due) return false;
    if (index > this.#due) {
      this.missing = true;
      this.text += GAP;
    }
    this.#due = index + 1;
    this.closed = closed;
    if (closed) return true;
    this.chunks.push(chunk);
    this.text += typeof chunk === "string" ? chunk : `${JSON.stringify(chunk)}\n`;
    return true;
  }

  /** @param {string} run */
  #begin(run) {
    this.#runs.add((this.#run = run));
    this.#due = 0;
    this.text = "";
    this.chunks = [];
    this.closed = this.missing = false;
  }
}
