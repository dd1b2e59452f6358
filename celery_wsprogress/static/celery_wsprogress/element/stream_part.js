/**
 * The part of `<celery-progress stream="…">` that shows a stream of the task as text, while it is
 * written.
 *
 * Runs in: a page.
 */

import { StreamText } from "../client/stream_text.js";
import { part } from "./shadow_dom.js";

/** @import { ProgressEvent } from "../client/protocol.js" */

export class StreamPart {
  #host;
  #part;
  #shown = document.createTextNode("");
  #shownRuns = 0;
  /** The name of the stream and the operation, as JSON. */
  #followed = "";
  #stream = new StreamText(null);

  /** @param {HTMLElement} host The element, with an open shadow root. */
  constructor(host) {
    this.#host = host;
    this.#part = part(/** @type {ShadowRoot} */ (host.shadowRoot), "stream");
    this.#part.firstElementChild?.append(this.#shown);
  }

  /**
   * Follow the stream that the element names, from its beginning if it is another one.
   *
   * @param {string | null} id The operation; null for a group, whose streams are not shown.
   */
  follow(id) {
    const name = this.#host.getAttribute("stream");
    const followed = JSON.stringify([id, name]);
    if (followed === this.#followed) return;
    this.#followed = followed;
    this.#stream = new StreamText(id && name);
    this.#shownRuns = 0;
    this.#shown.data = "";
  }

  /** @param {ProgressEvent} event */
  add(event) {
    this.#stream.add(event);
  }

  /** Append what has come, so that a reader may go on to select and a screen reader to read. */
  render() {
    const { text, runs } = this.#stream;
    if (runs !== this.#shownRuns) this.#shown.data = "";
    this.#shownRuns = runs;
    if (text.length > this.#shown.length) this.#shown.appendData(text.slice(this.#shown.length));
    this.#part.hidden = !runs;
  }
}
