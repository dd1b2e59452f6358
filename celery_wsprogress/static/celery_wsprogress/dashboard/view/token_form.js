/**
 * The form for a token, which is kept in `sessionStorage` and never in an address.
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

  /** @param {() => void} onToken Called with each new token. */
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
      // A reload closes the connection and clears what was shown.
      location.reload();
    });
  }

  get token() {
    return this.#token;
  }

  /**
   * @param {boolean} asks Whether to ask for a token.
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
    // Storage is blocked: keep the token in memory only.
    return "";
  }
}

/** @param {string} token */
function keep(token) {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage is blocked.
  }
}
