/**
 * The announcements of `<celery-progress>` to screen readers, through its live region.
 *
 * Runs in: a page.
 */

import { part, setText } from "./shadow_dom.js";

/** @import { Operation } from "../client/protocol.js" */
/** @import { Display } from "./display.js" */

/** Minimum milliseconds between two announcements, so that a screen reader can finish one. */
const ANNOUNCE_INTERVAL = 5_000;

export class Announcer {
  #root;
  /** The status and the quarter of the progress that were announced. */
  #step = "";
  #announcedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {ShadowRoot} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Announce a change of status or of a quarter of the progress, with the texts of the bar.
   *
   * @param {Operation | null} operation
   * @param {Display} display
   */
  announce(operation, { status, word = status, text, problem }) {
    const quarter = Math.floor((operation?.progress ?? 0) * 4);
    // Not each second of a countdown.
    const step = `${word} ${operation?.indeterminate ? "" : quarter}`;
    if (!(operation || text || problem) || step === this.#step) return;
    this.stop();
    const wait = Math.max(0, this.#announcedAt + ANNOUNCE_INTERVAL - performance.now());
    this.#timer = setTimeout(() => {
      const bar = part(this.#root, "bar");
      const value = `${bar.getAttribute("aria-label")}: ${bar.getAttribute("aria-valuetext")}`;
      const texts = [value, operation?.error ?? problem];
      setText(part(this.#root, "live"), texts.filter(Boolean).join(". "));
      this.#step = step;
      this.#announcedAt = performance.now();
    }, wait);
  }

  /** Cancel the announcement that waits. */
  stop() {
    clearTimeout(this.#timer);
  }
}
