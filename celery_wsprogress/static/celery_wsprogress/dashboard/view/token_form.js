/**
 * The token: entered by a person, kept as long as the tab is there, and never in an address.
 *
 * Runs in: a page.
 */

import { found, mark } from "./dom.js";

const KEY = "celery-wsprogress-token";

export class TokenForm {
  #form = found("access", HTMLFormElement);
  #input = found("token", HTMLInputElement);
  #forget = found("forget");
  #token = read();

  /** @param {() => void} onToken There is another token. */
  constructor(onToken) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#token = this.#input.value.trim();
      this.#input.value = "";
      keep(this.#token);
      onToken();
    });
    this.#forget.addEventListener("click", () => {
      keep("");
      // The sidecar forgets it with the connection, and the page with everything it has shown.
      location.reload();
    });
  }

  get token() {
    return this.#token;
  }

  /**
   * @param {boolean} asks Whether a token may help.
   */
  paint(asks) {
    this.#forget.hidden = !this.#token;
    if (this.#form.hidden !== asks) return;
    this.#form.hidden = !asks;
    mark(this.#input, "aria-invalid", asks && this.#token ? "true" : null);
    if (asks && document.activeElement === document.body) this.#input.focus();
  }
}

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    // Where nothing may be kept, it is kept here only.
    return "";
  }
}

/** @param {string} token */
function keep(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}
