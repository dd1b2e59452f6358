/**
 * The button of `<celery-progress cancellable>`.
 *
 * Runs in: a page.
 */

import { hasEnded } from "../client/protocol.js";
import { part, setText } from "./shadow_dom.js";

/** @import { Client } from "../client.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */

export class CancelButton {
  #button;
  #host;
  /** The operation that is shown. @type {Operation | null} */
  #operation = null;
  /** @type {Client | null} */
  #client = null;
  /** The run that was asked to stop; empty if none was. */
  #asked = "";
  #hooks;

  /**
   * @param {HTMLElement} host The element, with an open shadow root.
   * @param {object} hooks
   * @param {() => void} hooks.onChange Called when it must be rendered.
   * @param {(error: Error) => void} hooks.onRefused Called when the sidecar refuses it.
   */
  constructor(host, hooks) {
    this.#host = host;
    this.#hooks = hooks;
    this.#button = /** @type {HTMLButtonElement} */ (
      part(/** @type {ShadowRoot} */ (host.shadowRoot), "cancel")
    );
    this.#button.addEventListener("click", () => this.#press());
  }

  /**
   * Offer to cancel an operation, where the page wants that and the sidecar can.
   *
   * @param {Operation | null} operation
   * @param {Client | null} client
   * @param {Words} words
   * @param {boolean} isGroup The operation stands for the members of a group, put together here.
   */
  render(operation, client, words, isGroup) {
    this.#operation = operation;
    this.#client = client;
    const wanted = this.#host.hasAttribute("cancellable") && !isGroup;
    const can = client?.state === "open" && client.features.includes("cancel");
    this.#button.hidden = !(wanted && can && operation && !hasEnded(operation));
    if (!operation) return;
    const asked = this.#asked === keyOf(operation) || operation.status === "cancelling";
    this.#button.disabled = asked;
    setText(this.#button, asked ? words.cancelling : words.cancel);
  }

  async #press() {
    const [operation, client] = [this.#operation, this.#client];
    if (!operation || !client) return;
    const init = { bubbles: true, composed: true, cancelable: true, detail: { operation } };
    // A page may ask first: it prevents the default, and calls `client.cancel` itself.
    if (!this.#host.dispatchEvent(new CustomEvent("celery-cancel", init))) return;
    this.#asked = keyOf(operation);
    this.#hooks.onChange();
    try {
      await client.cancel(operation.operation_id);
    } catch (error) {
      this.#asked = "";
      this.#hooks.onChange();
      this.#hooks.onRefused(/** @type {Error} */ (error));
    }
  }
}

/** @param {Operation} operation */
function keyOf({ operation_id: id, run }) {
  return `${id} ${run}`;
}
