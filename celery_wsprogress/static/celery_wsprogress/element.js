/**
 * `<celery-progress task-id="…">`: a bar that follows an operation.
 *
 *     <script type="module" src="http://localhost:8765/element.js"></script>
 *     <celery-progress task-id="…"></celery-progress>
 *
 * Attributes: `task-id`, or `group-id` for all members of a workflow; `url` of the sidecar, which
 * is the one this module came from where it is not given; `label`; `token`. Slots: `label`,
 * `result`. Parts: `label`, `status`, `bar`, `fill`, `message`, `figures`, `error`, `result`. The
 * attributes `state`, `status`, `indeterminate` and `connection` say how it stands, for styles.
 *
 * Each event of the operation is dispatched on the element, as `celery-progress`, `celery-log` and
 * so on, bubbling, with `event` and `operation` in its `detail`; `celery-change` for anything.
 *
 * Runs in: a page. On a server it can be imported, and does nothing.
 */

import { connect } from "./client.js";
import { oncePerFrame } from "./painting.js";
import { hasEnded } from "./protocol.js";
import { furnish, isolated } from "./shadow.js";
import { figuresOf, percentOf, resultOf, statusOf, WORDS } from "./wording.js";
import { combined } from "./workflow.js";

/** @import { Client } from "./client.js" */
/** @import { Monitor, Watch } from "./handles.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { GetToken } from "./tokens.js" */
/** @import { Words } from "./wording.js" */

const HERE = import.meta.url;

/** Milliseconds between two announcements, so that they can be heard to their end. */
const QUIET = 5_000;

/** A server has no elements. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? /** @type {any} */ (class {});

export class CeleryProgress extends Base {
  static observedAttributes = ["task-id", "group-id", "url", "token", "label"];

  /** The words it uses. @type {Words} */
  static words = WORDS;

  /** @type {Client | null} */
  #client = null;
  /** @type {Watch | Monitor | null} */
  #handle = null;
  /** @type {Error | null} */
  #refused = null;
  /** @type {GetToken | undefined} */
  #getToken;
  #beginning = false;
  #paintSoon = oncePerFrame(() => this.#paint());
  #announced = { step: "", at: -Infinity };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #announcing;

  constructor() {
    super();
    furnish(this.attachShadow({ mode: "open" }));
  }

  /** The handle of what it shows: `.done`, `.observe`, … */
  get handle() {
    return this.#handle;
  }

  /** How the operation stands. @returns {Operation | null} */
  get operation() {
    const handle = this.#handle;
    if (!handle || "operation" in handle) return handle?.operation ?? null;
    return combined(this.getAttribute("group-id") ?? "", handle.operations.values());
  }

  /** Gives a token, where the sidecar has a key and tokens expire. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.#beginSoon();
  }

  connectedCallback() {
    // What was set before the element was one.
    const given = Object.getOwnPropertyDescriptor(this, "getToken")?.value;
    Reflect.deleteProperty(this, "getToken");
    this.#getToken ??= given;
    this.#beginSoon();
    this.#paintSoon();
  }

  disconnectedCallback() {
    this.#end();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === "label") this.#paintSoon();
    else this.#beginSoon();
  }

  /** Attributes that are set one after the other make one beginning. */
  #beginSoon() {
    if (this.#beginning) return;
    this.#beginning = true;
    queueMicrotask(() => {
      this.#beginning = false;
      this.#end();
      if (this.isConnected) this.#begin();
    });
  }

  #begin() {
    const [id, group] = [this.getAttribute("task-id"), this.getAttribute("group-id")];
    if (!id && !group) return;
    const token = this.getAttribute("token") ?? undefined;
    const url = this.getAttribute("url") ?? new URL("/", HERE);
    try {
      this.#client = connect(url, { token, getToken: this.#getToken });
    } catch (error) {
      this.#refuse(/** @type {Error} */ (error));
      return;
    }
    const options = {
      onChange: (/** @type {Operation} */ operation, /** @type {ProgressEvent | null} */ event) =>
        this.#change(operation, event),
      onRefused: (/** @type {Error} */ error) => this.#refuse(error),
    };
    this.#handle = id
      ? this.#client.watch(id, options)
      : this.#client.monitor({ group_id: group ?? "" }, options);
    this.#client.observe(() => this.#paintSoon());
    this.#paintSoon();
  }

  #end() {
    clearTimeout(this.#announcing);
    this.#handle?.close();
    this.#client?.close();
    this.#handle = this.#client = this.#refused = null;
  }

  /**
   * @param {Operation} operation
   * @param {ProgressEvent | null} event
   */
  #change(operation, event) {
    if (event) this.#dispatch(event.event_type, { event, operation });
    this.#dispatch("change", { event, operation });
    this.#paintSoon();
  }

  /** @param {Error} error */
  #refuse(error) {
    this.#refused = error;
    this.#dispatch("refused", { error });
    this.#paintSoon();
  }

  /**
   * @param {string} name
   * @param {object} detail
   */
  #dispatch(name, detail) {
    const how = { bubbles: true, composed: true, detail };
    this.dispatchEvent(new CustomEvent(`celery-${name}`, how));
  }

  // What is seen.

  #paint() {
    const { operation } = this;
    const { words } = /** @type {typeof CeleryProgress} */ (this.constructor);
    const state = this.#client?.state;
    const waiting = state === "reconnecting" && !(operation && hasEnded(operation));
    const status = waiting ? words.reconnecting : statusOf(operation, words);
    this.#reflect("state", operation?.state);
    this.#reflect("status", operation?.status);
    this.#reflect("connection", waiting || this.#refused ? state : undefined);
    this.#text("status", this.#refused && !operation ? words.error : status);
    this.#paintLabel(operation);
    this.#paintBar(operation, status);
    this.#paintEnd(operation);
    this.#announce(operation, status);
  }

  /** @param {Operation | null} operation */
  #paintLabel(operation) {
    const given = this.getAttribute("label");
    const slot = /** @type {HTMLElement} */ (this.#part("label").firstElementChild);
    const label = given ?? (operation?.operation_type || this.getAttribute("task-id") || "");
    if (slot.textContent !== label) slot.textContent = label;
    const [slotted] = /** @type {HTMLSlotElement} */ (slot).assignedNodes();
    this.#part("bar").setAttribute("aria-label", slotted?.textContent || label);
  }

  /**
   * @param {Operation | null} operation
   * @param {string} status
   */
  #paintBar(operation, status) {
    const { progress = 0, message = "", indeterminate = false } = operation ?? {};
    const moving = indeterminate && operation?.state === "running";
    const { words } = /** @type {typeof CeleryProgress} */ (this.constructor);
    const figures = figuresOf(operation, words, this.#language);
    const percent = percentOf(progress, this.#language);
    const begun = operation?.state === "running" || operation?.state === "retrying";
    if (begun && !indeterminate) figures.unshift(percent);
    this.#reflect("indeterminate", moving ? "" : undefined);
    this.#text("message", message);
    this.#part("message").title = message;
    this.#text("figures", (this.matches(":dir(rtl)") ? figures.map(isolated) : figures).join(" · "));
    this.#part("fill").style.inlineSize = moving ? "" : `${progress * 100}%`;
    const bar = this.#part("bar");
    const said = [status, ...(moving ? [] : [percent]), message].filter(Boolean).join(", ");
    if (moving || !operation) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.floor(progress * 100)));
    bar.setAttribute("aria-valuetext", said);
  }

  /** @param {Operation | null} operation */
  #paintEnd(operation) {
    const { error, error_type: type } = operation ?? {};
    const problem = error ? `${type}: ${error}` : (this.#refused?.message ?? "");
    this.#text("error", problem);
    this.#part("error").hidden = !problem;
    const result = this.#handle && "result" in this.#handle ? this.#handle.result : undefined;
    const slot = /** @type {HTMLSlotElement} */ (this.#part("result").firstElementChild);
    const text = resultOf(result);
    if (slot.textContent !== text) slot.textContent = text;
    const shown = operation?.state === "completed" && (text || slot.assignedNodes().length);
    this.#part("result").hidden = !shown;
  }

  /**
   * Say aloud what changed, in quarters of the way and words of the status, not too often.
   *
   * @param {Operation | null} operation
   * @param {string} status
   */
  #announce(operation, status) {
    const quarter = Math.floor((operation?.progress ?? 0) * 4);
    const step = `${status} ${operation?.indeterminate ? "" : quarter}`;
    if (!operation || step === this.#announced.step) return;
    clearTimeout(this.#announcing);
    const wait = Math.max(0, this.#announced.at + QUIET - performance.now());
    this.#announcing = setTimeout(() => {
      const name = this.#part("bar").getAttribute("aria-label");
      const said = this.#part("bar").getAttribute("aria-valuetext");
      this.#text("live", [`${name}: ${said}`, operation.error].filter(Boolean).join(". "));
      this.#announced = { step, at: performance.now() };
    }, wait);
  }

  get #language() {
    return this.closest("[lang]")?.getAttribute("lang") || undefined;
  }

  /**
   * @param {string} name
   * @returns {HTMLElement}
   */
  #part(name) {
    return /** @type {HTMLElement} */ (this.shadowRoot?.querySelector(`[part=${name}]`));
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #text(name, text) {
    const part = this.#part(name);
    if (part.textContent !== text) part.textContent = text;
  }

  /**
   * @param {string} name
   * @param {string | undefined} value
   */
  #reflect(name, value) {
    if (value === undefined) this.removeAttribute(name);
    else if (this.getAttribute(name) !== value) this.setAttribute(name, value);
  }
}

if (globalThis.customElements && !customElements.get("celery-progress")) {
  customElements.define("celery-progress", CeleryProgress);
}
