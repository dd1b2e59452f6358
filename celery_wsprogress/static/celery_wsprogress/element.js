/**
 * `<celery-progress task-id="…">`: a bar that follows an operation.
 *
 *     <script type="module" src="http://localhost:8765/element.js"></script>
 *     <celery-progress task-id="…"></celery-progress>
 *
 * Attributes: `task-id`, or `group-id` for all members of a workflow; `url` of the sidecar, by
 * default the one that served this module; `label`; `token`. Slots: `label`,
 * `result`. Parts: `label`, `status`, `bar`, `fill`, `message`, `figures`, `error`, `result`. The
 * attributes `state`, `status`, `indeterminate` and `connection` reflect the state, for styles.
 *
 * Each event of the operation is dispatched on the element, as `celery-progress`, `celery-log` and
 * so on, bubbling, once for each element, with `event`, `operation` and `replayed` in its `detail`:
 * whether it is from before the watch began. `celery-change` is dispatched for any change.
 *
 * Runs in: a page. On a server it can be imported and does nothing.
 */

import { sidecarOf } from "./client/address.js";
import { connect } from "./client.js";
import { NORMAL } from "./client/close_codes.js";
import { exactResult } from "./client/exact_json.js";
import { oncePerFrame } from "./element/animation_frame.js";
import { hasEnded } from "./client/protocol.js";
import { adoptStyles, buildShadow, isolateDirection } from "./element/shadow_dom.js";
import {
  formatFigures,
  formatPercent,
  formatResult,
  formatStatus,
  mergeWords,
  WORDS,
} from "./element/format.js";
import { aggregate } from "./element/workflow.js";

/** @import { Client } from "./client.js" */
/** @import { Monitor, Watch } from "./client/handles.js" */
/** @import { Operation, ProgressEvent } from "./client/protocol.js" */
/** @import { GetToken } from "./client/tokens.js" */
/** @import { Words } from "./element/format.js" */

const HERE = import.meta.url;

/** Minimum milliseconds between two announcements, so that a screen reader can finish one. */
const ANNOUNCE_INTERVAL = 5_000;

/** Milliseconds after which an operation without events is reported as unknown. */
const UNKNOWN_TIMEOUT = 10_000;

/** Maximum number of dispatched event ids that are kept. */
const MAX_DISPATCHED_IDS = 5_000;

/** Attributes that the element sets on itself. */
const STATES = ["state", "status", "indeterminate", "connection"];

/** Warnings that were written to the console; each is written once. @type {Set<string>} */
const warned = new Set();

/** @param {string} text */
function warn(text) {
  if (warned.has(text) || warned.size >= 100) return;
  warned.add(text);
  console.warn(`<celery-progress>: ${text}`);
}

/**
 * @typedef {object} Display The texts that show where an operation is.
 * @property {string} status A word or two.
 * @property {string} [text] A sentence.
 * @property {string} [problem] A sentence that says why there is nothing to show.
 * @property {string} [connection]
 */

/** A server has no `HTMLElement`. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? /** @type {any} */ (class {});

export class CeleryProgress extends Base {
  static observedAttributes = ["task-id", "group-id", "url", "token", "label", ...STATES];

  /** The words that it shows; missing ones are in English. @type {Partial<Words>} */
  static words = WORDS;

  /** @type {Client | null} */
  #client = null;
  /** @type {Watch | Monitor | null} */
  #handle = null;
  /** @type {Error | null} */
  #error = null;
  /** @type {GetToken | undefined} */
  #getToken;
  #restarting = false;
  /** The task id and group id that it follows, as JSON. */
  #target = "";
  /** The ids of the events that were dispatched. @type {Set<string>} */
  #dispatched = new Set();
  /** The event with the result. @type {ProgressEvent | null} */
  #resultEvent = null;
  #isUnknown = false;
  #paintSoon = oncePerFrame(() => this.#paint());
  #announced = { step: "", at: -Infinity };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #announceTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #unknownTimer;

  constructor() {
    super();
    buildShadow(this.attachShadow({ mode: "open" }));
  }

  /** The handle of what the element shows: `.done`, `.observe`, … */
  get handle() {
    return this.#handle;
  }

  /** The snapshot of the operation or the group. @returns {Operation | null} */
  get operation() {
    const handle = this.#handle;
    if (!handle || "operation" in handle) return handle?.operation ?? null;
    return aggregate(this.getAttribute("group-id") ?? "", handle.operations.values());
  }

  /** A function that returns a token, for tokens that expire. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    if (getToken === this.#getToken) return;
    this.#getToken = getToken;
    this.#restartSoon();
  }

  connectedCallback() {
    // A property that was set before the element was upgraded.
    const given = Object.getOwnPropertyDescriptor(this, "getToken")?.value;
    Reflect.deleteProperty(this, "getToken");
    this.#getToken ??= given;
    adoptStyles(/** @type {ShadowRoot} */ (this.shadowRoot));
    // An element that is moved keeps its watch.
    if (!this.#handle) this.#restartSoon();
    this.#paintSoon();
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.#stop());
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  attributeChangedCallback(name, before, after) {
    if (before === after) return;
    // A page may remove the reflected attributes, as libraries that morph the DOM do.
    if (name === "label" || STATES.includes(name)) this.#paintSoon();
    else this.#restartSoon();
  }

  /** Restart once for all attributes that are set in one task of the event loop. */
  #restartSoon() {
    if (this.#restarting) return;
    this.#restarting = true;
    queueMicrotask(() => {
      this.#restarting = false;
      this.#stop();
      if (this.isConnected) this.#start();
    });
  }

  #start() {
    const [id, group] = [this.getAttribute("task-id"), this.getAttribute("group-id")];
    if (!id && !group) return;
    this.#resetIfChanged(JSON.stringify([id, group]));
    const token = this.getAttribute("token") ?? undefined;
    try {
      const url = this.getAttribute("url") ?? sidecarOf(HERE);
      this.#client = connect(url, { token, getToken: this.#getToken });
    } catch (error) {
      this.#reject(/** @type {Error} */ (error));
      return;
    }
    const options = {
      stay: true,
      onChange: (
        /** @type {Operation} */ operation,
        /** @type {ProgressEvent | null} */ event,
        /** @type {boolean} */ replayed,
      ) => this.#onChange(operation, event, replayed),
      onRefused: (/** @type {Error} */ error) => this.#reject(error),
    };
    const handle = id
      ? this.#client.watch(id, options)
      : this.#client.monitor({ group_id: group ?? "" }, options);
    this.#handle = handle;
    const wait = () => {
      this.#unknownTimer = setTimeout(() => this.#reportUnknown(id ?? group), UNKNOWN_TIMEOUT);
    };
    handle.ready.then(() => handle === this.#handle && wait(), () => {});
    this.#client.observe(() => this.#observe());
    this.#paintSoon();
  }

  /**
   * Forget the events of another operation.
   *
   * @param {string} followed
   */
  #resetIfChanged(followed) {
    if (followed === this.#target) return;
    this.#target = followed;
    this.#dispatched.clear();
    this.#resultEvent = null;
  }

  #observe() {
    const { url, state, lost } = this.#client ?? {};
    // 1000 is an intended close, as when a page is left.
    if (lost && lost.code !== NORMAL && state !== "open") {
      const why = lost.reason || lost.code;
      warn(`no connection to ${url} (${why}); trying again. Is a sidecar there, and \`url\` right?`);
    }
    this.#paintSoon();
  }

  /** @param {string | null} id */
  #reportUnknown(id) {
    if (this.operation) return;
    this.#isUnknown = true;
    warn(
      `nothing was heard of ${id}. Is it the id of a task with base=StreamingTask, and does its ` +
        "worker use the broker of the sidecar?",
    );
    this.#paintSoon();
  }

  #stop() {
    clearTimeout(this.#announceTimer);
    clearTimeout(this.#unknownTimer);
    this.#handle?.close();
    this.#client?.close();
    this.#handle = this.#client = this.#error = null;
    this.#isUnknown = false;
  }

  /**
   * @param {Operation} operation
   * @param {ProgressEvent | null} event
   * @param {boolean} replayed
   */
  #onChange(operation, event, replayed) {
    this.#paintSoon();
    if (event?.event_type === "result") this.#resultEvent = event;
    if (event?.event_type === "status" && event.data.status === "started") this.#resultEvent = null;
    const id = event?.event_id;
    if (id) {
      if (this.#dispatched.has(id)) return;
      this.#dispatched.add(id);
      const [first] = this.#dispatched;
      if (this.#dispatched.size > MAX_DISPATCHED_IDS) this.#dispatched.delete(first);
    }
    if (event) this.#dispatch(event.event_type, { event, operation, replayed });
    this.#dispatch("change", { event, operation, replayed });
  }

  /** @param {Error} error */
  #reject(error) {
    this.#error = error;
    warn(`it may not be shown: ${error.message}`);
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

  // Painting.

  #paint() {
    const { operation } = this;
    const words = mergeWords(/** @type {typeof CeleryProgress} */ (this.constructor).words);
    const display = this.#displayOf(operation, words);
    this.#reflect("state", operation?.state);
    this.#reflect("status", operation?.status);
    this.#reflect("connection", display.connection);
    this.#setText("status", display.status);
    this.#paintLabel(operation);
    this.#paintBar(operation, words, display);
    this.#paintEnd(operation, display);
    this.#announce(operation, display);
  }

  /**
   * Return the texts that show where the operation is.
   *
   * @param {Operation | null} operation
   * @param {Words} words
   * @returns {Display}
   */
  #displayOf(operation, words) {
    const { state = "open", lost = null } = this.#client ?? {};
    if (operation && hasEnded(operation)) return { status: formatStatus(operation, words) };
    if (this.#error) {
      return { status: words.refused, problem: words.refusedText, connection: "closed" };
    }
    if (state !== "open" && operation) return { status: words.reconnecting, connection: "reconnecting" };
    if (state !== "open" && lost) {
      return { status: words.unreachable, text: words.unreachableText, connection: state };
    }
    if (state !== "open") return { status: words.connecting };
    if (operation || !this.#isUnknown) return { status: formatStatus(operation, words) };
    return { status: words.unheard, text: words.unheardText };
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
   * Return whether the bar is animated: the total is unknown, or the task runs and has not
   * reported progress. A stalled task is not animated.
   *
   * @param {Operation} operation
   */
  #isIndeterminate({ state, status, indeterminate, progress, current, message }) {
    const group = this.#handle && !("operation" in this.#handle);
    const silent = progress === 0 && message === "" && (group || current == null);
    return state === "running" && status !== "stalled" && (indeterminate || silent);
  }

  /**
   * @param {Operation | null} operation
   * @param {Words} words
   * @param {Display} display
   */
  #paintBar(operation, words, { status, text = "" }) {
    const { progress = 0, message = text } = operation ?? {};
    const moving = operation !== null && this.#isIndeterminate(operation);
    const figures = formatFigures(operation, words, this.#language);
    const percent = formatPercent(progress, this.#language);
    const begun = ["running", "retrying", "replaced"].includes(operation?.state ?? "");
    if (begun && !moving && !operation?.indeterminate) figures.unshift(percent);
    this.#reflect("indeterminate", moving ? "" : undefined);
    this.#setText("message", message);
    this.#part("message").title = message;
    const rightToLeft = getComputedStyle(this).direction === "rtl";
    this.#setText("figures", (rightToLeft ? figures.map(isolateDirection) : figures).join(" · "));
    this.#part("fill").style.inlineSize = moving ? "" : `${progress * 100}%`;
    const bar = this.#part("bar");
    const said = [status, ...(moving ? [] : [percent]), message].filter(Boolean).join(", ");
    if (moving || !operation) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.floor(progress * 100)));
    bar.setAttribute("aria-valuetext", said);
  }

  /**
   * @param {Operation | null} operation
   * @param {Display} display
   */
  #paintEnd(operation, { problem = "" }) {
    const { error, error_type: type } = operation ?? {};
    if (error) problem = `${type}: ${error}`;
    this.#setText("error", problem);
    this.#part("error").hidden = !problem;
    const gave = this.#resultEvent;
    const slot = /** @type {HTMLSlotElement} */ (this.#part("result").firstElementChild);
    const text = gave ? formatResult(gave.data.result, exactResult(gave)) : "";
    if (slot.textContent !== text) slot.textContent = text;
    const shown = operation?.state === "completed" && (text || slot.assignedNodes().length);
    this.#part("result").hidden = !shown;
  }

  /**
   * Announce a change of status or of a quarter of the progress to screen readers.
   *
   * @param {Operation | null} operation
   * @param {Display} display
   */
  #announce(operation, { status, text, problem }) {
    const quarter = Math.floor((operation?.progress ?? 0) * 4);
    const step = `${status} ${operation?.indeterminate ? "" : quarter}`;
    if (!(operation || text || problem) || step === this.#announced.step) return;
    clearTimeout(this.#announceTimer);
    const wait = Math.max(0, this.#announced.at + ANNOUNCE_INTERVAL - performance.now());
    this.#announceTimer = setTimeout(() => {
      const name = this.#part("bar").getAttribute("aria-label");
      const said = this.#part("bar").getAttribute("aria-valuetext");
      this.#setText("live", [`${name}: ${said}`, operation?.error ?? problem].filter(Boolean).join(". "));
      this.#announced = { step, at: performance.now() };
    }, wait);
  }

  /** The language of the nearest element with `lang`, also outside of shadow trees. */
  get #language() {
    for (let at = /** @type {any} */ (this); at; at = at.getRootNode().host) {
      const found = at.closest("[lang]");
      if (found) return found.getAttribute("lang") || undefined;
    }
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
  #setText(name, text) {
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
