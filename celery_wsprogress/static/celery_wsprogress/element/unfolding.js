/**
 * The button of `<celery-progress workflow-id="…">` that unfolds its steps, and the box below the
 * bar. The steps themselves are loaded when they are first wanted.
 *
 * Runs in: a page.
 */

import { part, setText } from "./shadow_dom.js";

/** @import { Client } from "../client.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */
/** @import { StepsView } from "./steps_view.js" */

export class Unfolding {
  #host;
  #button;
  #box;
  /** @type {StepsView | null} */
  #view = null;
  /** The workflow whose steps are shown, or begin to be. */
  #shown = "";
  #words = () => /** @type {Words} */ ({});

  /** @param {HTMLElement} host The element, with a built shadow tree. */
  constructor(host) {
    const root = /** @type {ShadowRoot} */ (host.shadowRoot);
    this.#host = host;
    this.#button = part(root, "toggle");
    this.#box = part(root, "steps");
    this.#button.addEventListener("click", () => host.toggleAttribute("expanded"));
  }

  /**
   * Show the button where there is more than one step, and the steps where they are unfolded.
   *
   * @param {Operation | null} operation
   * @param {Client | null} client
   * @param {string | null} id The id of the workflow; null where none is shown.
   * @param {() => Words} words
   */
  paint(operation, client, id, words) {
    this.#words = words;
    const total = /** @type {number} */ (operation?.details.total ?? 0);
    this.#button.hidden = id === null || total < 2;
    const expanded = !this.#button.hidden && this.#host.hasAttribute("expanded");
    this.#button.setAttribute("aria-expanded", String(expanded));
    this.#button.setAttribute("aria-label", words().steps);
    setText(this.#button, expanded ? "▾" : "▸");
    this.#box.hidden = !expanded;
    if (!expanded || !client || !id) this.close();
    else if (this.#shown !== id) this.#open(client, id);
  }

  /** Remove the steps. */
  close() {
    this.#shown = "";
    this.#view?.close();
    this.#view = null;
  }

  /**
   * @param {Client} client
   * @param {string} id
   */
  async #open(client, id) {
    this.close();
    this.#shown = id;
    const { StepsView } = await import("./steps_view.js");
    if (this.#shown !== id || this.#view || client.error) return;
    this.#view = new StepsView(this.#box, client, id, () => this.#words());
  }
}
