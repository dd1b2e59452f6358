/**
 * What the dashboard has of a sidecar, from a token on until there is another one.
 *
 * Runs in: a page.
 */

import { connect } from "../client.js";
import { OperationList } from "./model/operation_list.js";

/** @import { Operation, ProgressEvent } from "../client/protocol.js" */

/** Operations that are shown; beyond it those that ended first are let go. */
const MAX_OPERATIONS = 10_000;

export class Session {
  /** Why not everything is shown. @type {Error | null} */
  refused = null;

  /** Gives the token that was given. */
  getToken;

  #monitor;
  /** The time in the welcome that it was taken from. */
  #welcomeTime = "";
  /** Seconds that the sidecar's clock is ahead of one that begins with the page and never jumps. */
  #clockOffset = performance.timeOrigin / 1000;

  /**
   * @param {URL} url
   * @param {string} token Empty where there is none.
   * @param {object} hooks
   * @param {(event: ProgressEvent, operation: Operation) => void} hooks.onEvent
   * @param {() => void} hooks.onChange Anything is different.
   */
  constructor(url, token, { onEvent, onChange }) {
    this.token = token;
    this.getToken = () => token;
    this.client = connect(url, { getToken: this.getToken });
    this.client.observe(() => {
      this.#setClock();
      onChange();
    });
    this.#monitor = this.client.monitor(
      {},
      {
        limit: MAX_OPERATIONS,
        onChange: (operation, event) => {
          this.operationList.markDirty(operation.operation_id);
          if (event) onEvent(event, operation);
          onChange();
        },
        onRefused: (error) => {
          this.refused = error;
          onChange();
        },
      },
    );
    this.operationList = new OperationList(this.#monitor.operations);
    // What it could not show is said by `refused`.
    this.#monitor.ready.then(onChange, () => {});
  }

  get operations() {
    return this.#monitor.operations;
  }

  /** The sidecar's clock. */
  get now() {
    return this.#clockOffset + performance.now() / 1000;
  }

  close() {
    this.client.close();
  }

  #setClock() {
    const { timestamp } = this.client.welcome;
    if (timestamp === this.#welcomeTime) return;
    this.#welcomeTime = timestamp;
    this.#clockOffset = (Date.parse(timestamp) - performance.now()) / 1000;
  }
}
