/**
 * The steps, log lines and result of one operation, merged from its history and live events: each
 * event once and in order.
 *
 * Pure.
 */

import { exactResult } from "../../client/exact_json.js";
import { eventStep, mergeSteps } from "./timeline.js";

/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */
/** @import { Step } from "./timeline.js" */

/** Maximum number of events; a sidecar holds as many of an operation. */
export const MAX_EVENTS = 1_000;

/** @typedef {{ number: number, at: number, level: string, message: string }} LogLine */

export class EventLog {
  /** @type {LogLine[]} */
  lines = [];
  /** The result; undefined until there is one. @type {unknown} */
  result = undefined;
  /** Its exact JSON, if it has integers that JavaScript cannot hold. @type {string | undefined} */
  exact = undefined;
  truncated = false;
  /** Whether earlier events have been evicted. */
  incomplete = false;

  /** All events except progress. @type {ProgressEvent[]} */
  #events = [];
  /** @type {Set<string>} */
  #seen = new Set();
  /** @type {Step[]} */
  #steps = [];
  #number = 0;

  /**
   * @param {ProgressEvent} event
   * @param {ProgressEvent[]} [history] The history that holds the event.
   */
  take(event, history) {
    if (event.event_type === "progress" || event.event_type === "snapshot") return;
    if (event.event_id) {
      if (this.#seen.has(event.event_id)) return;
      this.#seen.add(event.event_id);
    }
    this.#events.push(event);
    this.#apply(event, history);
    if (this.#events.length > MAX_EVENTS * 1.1) this.#evict();
  }

  /**
   * Insert the history before the live events; it may include earlier runs.
   *
   * @param {ProgressEvent[]} events
   * @param {boolean} complete
   */
  applyHistory(events, complete) {
    const live = this.#events;
    const held = new Set(events.map((one) => one.event_id));
    this.#events = [];
    this.#seen.clear();
    this.lines = [];
    this.#steps = [];
    this.#clearResult();
    this.incomplete = !complete;
    for (const event of events) this.take(event, events);
    for (const event of live) if (!held.has(event.event_id)) this.take(event);
  }

  /**
   * Return the steps, with those that only the snapshot shows.
   *
   * @param {Operation | null} operation
   * @returns {Step[]}
   */
  steps(operation) {
    return mergeSteps(this.#steps, operation);
  }

  /**
   * @param {ProgressEvent} event
   * @param {ProgressEvent[]} [history]
   */
  #apply(event, history) {
    const { event_type: type, data, timestamp: at } = event;
    if (type === "log") {
      this.#number += 1;
      this.lines.push({ number: this.#number, at, level: data.level, message: data.message });
    } else if (type === "result") {
      this.result = data.result;
      this.exact = exactResult(event, history, 2);
      this.truncated = data.truncated === true;
    } else {
      if (type === "status" && data.status === "started") this.#clearResult();
      const step = eventStep(event);
      if (step) this.#steps.push(step);
    }
  }

  #clearResult() {
    this.result = this.exact = undefined;
    this.truncated = false;
  }

  #evict() {
    const gone = this.#events.splice(0, this.#events.length - MAX_EVENTS);
    for (const { event_id: id } of gone) this.#seen.delete(id ?? "");
    this.lines = this.lines.slice(-MAX_EVENTS);
    this.#steps = this.#steps.slice(-MAX_EVENTS);
    this.incomplete = true;
  }
}
