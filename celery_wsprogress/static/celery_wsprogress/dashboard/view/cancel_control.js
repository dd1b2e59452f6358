/**
 * The button that cancels the operation that is shown, and what became of it.
 *
 * Runs in: a page.
 */

import { hasEnded } from "../../client/protocol.js";
import { make, write } from "./dom.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { Session } from "../session.js" */

/** Milliseconds in which a second press means it. */
const CONFIRM_TIME = 4_000;

const OFFER = "Cancel";

export class CancelControl {
  #button = make("button", { type: "button", class: "cancel" }, OFFER);
  #note = make("span", { class: "cancel-note", role: "status" });
  element = make("span", { class: "cancel-control" }, this.#button, this.#note);

  #id = "";
  /** @type {Session | null} */
  #session = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    this.#button.addEventListener("click", () => this.#press());
    this.element.hidden = true;
  }

  /**
   * @param {string} id The operation that is shown from now on.
   * @param {Session} session
   */
  show(id, session) {
    this.#id = id;
    this.#session = session;
    this.#reset();
    write(this.#note, "");
    this.element.hidden = true;
  }

  /** @param {Operation | null} operation */
  paint(operation) {
    const can = this.#session?.client.features.includes("cancel");
    this.element.hidden = !can || !operation || hasEnded(operation);
  }

  #reset() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    write(this.#button, OFFER);
  }

  async #press() {
    if (this.#timer === undefined) {
      write(this.#button, "Really cancel?");
      this.#timer = setTimeout(() => this.#reset(), CONFIRM_TIME);
      return;
    }
    this.#reset();
    const id = this.#id;
    let note;
    try {
      const { status } = await /** @type {Session} */ (this.#session).client.cancel(id);
      note = status === "accepted" ? "The workers were told" : "Too late: it has ended";
    } catch (error) {
      note = /** @type {Error} */ (error).message;
    }
    if (this.#id === id) write(this.#note, note);
  }
}
