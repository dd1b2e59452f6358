/**
 * The events that `<celery-progress>` dispatches, each event of the operation once.
 *
 * Runs in: a page.
 */

/** @import { Operation, ProgressEvent } from "../client/protocol.js" */

/** Maximum number of dispatched event ids that are kept. */
const MAX_DISPATCHED_IDS = 5_000;

export class Dispatcher {
  #host;
  /** The ids of the events that were dispatched. @type {Set<string>} */
  #dispatched = new Set();

  /** @param {HTMLElement} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  dispatch(name, detail) {
    const init = { bubbles: true, composed: true, detail };
    this.#host.dispatchEvent(new CustomEvent(`celery-${name}`, init));
  }

  /**
   * Dispatch a change and the event that brought it, unless that was dispatched already.
   *
   * @param {Operation} operation
   * @param {ProgressEvent | null} event
   * @param {boolean} replayed
   */
  dispatchOnce(operation, event, replayed) {
    const id = event?.event_id;
    if (id) {
      if (this.#dispatched.has(id)) return;
      this.#dispatched.add(id);
      const [first] = this.#dispatched;
      if (this.#dispatched.size > MAX_DISPATCHED_IDS) this.#dispatched.delete(first);
    }
    if (event) this.dispatch(event.event_type, { event, operation, replayed });
    this.dispatch("change", { event, operation, replayed });
  }

  /** Forget what was dispatched, of another operation. */
  forget() {
    this.#dispatched.clear();
  }
}
