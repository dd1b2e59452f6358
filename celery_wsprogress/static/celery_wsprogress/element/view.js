/**
 * The rendering of `<celery-progress>`: its shadow tree and its reflected attributes. The element
 * calls it at most once per animation frame.
 *
 * Runs in: a page.
 */

import { exactResult } from "../client/exact_json.js";
import { fallbackLabel, languageOf, reflect } from "./attributes.js";
import { formatFigures, formatPercent, formatResult } from "./format.js";
import { renderPhases } from "./phases.js";
import { buildShadow, isolateDirection, part, setText } from "./shadow_dom.js";

/** @import { EventOf } from "../client/events.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Display } from "./display.js" */
/** @import { Words } from "./format.js" */

export class View {
  #host;
  #root;

  /** @param {HTMLElement} host The element, with an open shadow root. */
  constructor(host) {
    this.#host = host;
    this.#root = /** @type {ShadowRoot} */ (host.shadowRoot);
    buildShadow(this.#root);
  }

  /**
   * Show an operation.
   *
   * @param {Operation | null} operation Null while it is unknown.
   * @param {Display} display
   * @param {Words} words
   * @param {boolean} isGroup The operation stands for the members of a workflow.
   * @param {EventOf<"result"> | null} resultEvent The event with the result.
   * @param {number} now Epoch seconds by the clock of the sidecar.
   */
  render(operation, display, words, isGroup, resultEvent, now) {
    reflect(this.#host, "state", operation?.state);
    reflect(this.#host, "status", operation?.status);
    reflect(this.#host, "connection", display.connection);
    this.#setText("status", display.status);
    this.#renderLabel(operation, words);
    this.#renderBar(operation, display, words, isGroup, now);
    this.#renderEnd(operation, display, resultEvent);
  }

  /**
   * @param {Operation | null} operation
   * @param {Words} words
   */
  #renderLabel(operation, words) {
    const slot = this.#slot("label");
    const given = this.#host.getAttribute("label");
    const label = given ?? (operation?.operation_type || words[fallbackLabel(this.#host)]);
    setText(slot, label);
    const [slotted] = slot.assignedNodes();
    this.#part("bar").setAttribute("aria-label", slotted?.textContent || label);
  }

  /**
   * @param {Operation | null} operation
   * @param {Display} display
   * @param {Words} words
   * @param {boolean} isGroup
   * @param {number} now
   */
  #renderBar(operation, { status, text = "" }, words, isGroup, now) {
    const { progress = 0, message = text } = operation ?? {};
    const bar = this.#part("bar");
    const hasPhases = renderPhases(bar, operation);
    const indeterminate = !hasPhases && operation !== null && isIndeterminate(operation, isGroup);
    const language = languageOf(this.#host);
    const percent = formatPercent(progress, language);
    const figures = formatFigures(operation, words, language, now);
    const begun = ["running", "retrying", "replaced"].includes(operation?.state ?? "");
    if (begun && !indeterminate && !operation?.indeterminate) figures.unshift(percent);
    reflect(this.#host, "indeterminate", indeterminate ? "" : undefined);
    this.#setText("message", message);
    this.#part("message").title = message;
    const rightToLeft = getComputedStyle(this.#host).direction === "rtl";
    this.#setText("figures", (rightToLeft ? figures.map(isolateDirection) : figures).join(" · "));
    this.#part("fill").style.inlineSize = indeterminate ? "" : `${progress * 100}%`;
    const valueText = [status, ...(indeterminate ? [] : [percent]), message];
    if (indeterminate || !operation) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.floor(progress * 100)));
    bar.setAttribute("aria-valuetext", valueText.filter(Boolean).join(", "));
  }

  /**
   * @param {Operation | null} operation
   * @param {Display} display
   * @param {EventOf<"result"> | null} resultEvent
   */
  #renderEnd(operation, { problem = "" }, resultEvent) {
    const { error, error_type: type } = operation ?? {};
    if (error) problem = `${type}: ${error}`;
    this.#setText("error", problem);
    this.#part("error").hidden = !problem;
    const slot = this.#slot("result");
    const hides = !resultEvent || this.#host.hasAttribute("no-result");
    const text = hides ? "" : formatResult(resultEvent.data.result, exactResult(resultEvent));
    setText(slot, text);
    const shown = operation?.state === "completed" && (text || slot.assignedNodes().length);
    this.#part("result").hidden = !shown;
  }

  /** @param {string} name */
  #part(name) {
    return part(this.#root, name);
  }

  /** @param {string} name */
  #slot(name) {
    return /** @type {HTMLSlotElement} */ (this.#part(name).firstElementChild);
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #setText(name, text) {
    setText(this.#part(name), text);
  }
}

/**
 * Return whether the bar is animated: the total is unknown, or the task runs and has not reported
 * progress. The bar of a stalled task is not animated.
 *
 * @param {Operation} operation
 * @param {boolean} isGroup The count of ended members is no progress of a task.
 */
function isIndeterminate({ state, status, indeterminate, progress, current, message }, isGroup) {
  const unreported = progress === 0 && message === "" && (isGroup || current == null);
  return state === "running" && status !== "stalled" && (indeterminate || unreported);
}
