/**
 * What the dashboard has of a sidecar, from a token on until there is another one.
 *
 * Runs in: a page.
 */

import { connect } from "../client.js";
import { Roster } from "./roster.js";

/** @import { Operation, ProgressEvent } from "../protocol.js" */

/** Operations that are shown; beyond it those that ended first are let go. */
const LIMIT = 10_000;

export class Session {
  /** Why not everything is shown. @type {Error | null} */
  refused = null;

  /** Gives the token that was given. */
  getToken;

  #monitor;
  /** Seconds that the clock here is ahead of the sidecar's. */
  #skew = 0;

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
        limit: LIMIT,
        onChange: (operation, event) => {
          this.roster.touch(operation.operation_id);
          if (event) onEvent(event, operation);
          onChange();
        },
        onRefused: (error) => {
          this.refused = error;
          onChange();
        },
      },
    );
    this.roster = new Roster(this.#monitor.operations);
    // What it could not show is said by `refused`.
    this.#monitor.ready.then(onChange, () => {});
  }

  get operations() {
    return this.#monitor.operations;
  }

  /** The sidecar's clock. */
  get now() {
    return Date.now() / 1000 - this.#skew;
  }

  close() {
    this.client.close();
  }

  #setClock() {
    const told = Date.parse(this.client.welcome.timestamp);
    if (this.client.state === "open" && told) this.#skew = (Date.now() - told) / 1000;
  }
}
