/**
 * `<celery-progress task-id="…">`: a bar that follows an operation.
 *
 *     <script type="module" src="http://localhost:8765/element.js"></script>
 *     <celery-progress task-id="…"></celery-progress>
 *
 * Attributes: `task-id`; or `workflow-id` for a chain, a group or a chord, whose steps unfold
 * (`expanded`); or `task-ids` for several tasks, with spaces between them, as one bar; or `group-id`
 * for all members of a group; `url` of the sidecar, by default the one that served this module;
 * `label`; `token`, or `token-url`, from which tokens are fetched; `cancellable`, which shows a
 * button where the sidecar lets anybody cancel; `stream`, the name of a stream of the task whose
 * text is shown; `no-result` and `no-error-detail`, which hide these. Slots:
 * `label`, `result`, `stream`. Parts: `label`, `status`, `cancel`, `bar`, `fill`, `phases`, `phase`,
 * `phase-fill`, `message`, `figures`, `error`, `stream`, `result`, `toggle`, `steps`. The attributes
 * `state`, `status`, `indeterminate` and `connection` reflect the state, for styles.
 *
 * Each event of the operation is dispatched on the element, as `celery-progress`, `celery-log` and
 * so on, bubbling, once for each element, with `event`, `operation` and `replayed` in its `detail`:
 * whether it is from before the watch began. `celery-change` is dispatched for any change,
 * `celery-cancel` before the task is cancelled, which a page may prevent.
 *
 * Runs in: a page. On a server it can be imported and does nothing.
 */

import { sidecarOf } from "./client/address.js";
import { NORMAL } from "./client/close_codes.js";
import { connect } from "./client.js";
import { oncePerFrame } from "./element/animation_frame.js";
import { Announcer } from "./element/announcer.js";
import { HIDING, languageOf, REFLECTED } from "./element/attributes.js";
import { CancelButton } from "./element/cancel_button.js";
import { Countdown } from "./element/countdown.js";
import { Dispatcher } from "./element/dispatcher.js";
import { displayOf, secondsToRetry, withoutErrorDetail } from "./element/display.js";
import { mergeWords, WORDS } from "./element/format.js";
import { adoptStyles } from "./element/shadow_dom.js";
import { StreamPart } from "./element/stream_part.js";
import { Target, TARGETS } from "./element/target.js";
import { tokenFrom } from "./element/token_url.js";
import { Unfolding } from "./element/unfolding.js";
import { View } from "./element/view.js";
import { warn, warnUnknown, warnUnreachable } from "./element/warnings.js";
import { describeWorkflow } from "./element/workflow.js";

/** @import { Client } from "./client.js" */
/** @import { Monitor, Watch, WatchMany } from "./client/handles.js" */
/** @import { EventOf } from "./client/events.js" */
/** @import { Operation, ProgressEvent } from "./client/protocol.js" */
/** @import { GetToken } from "./client/tokens.js" */
/** @import { Words } from "./element/format.js" */

const HERE = import.meta.url;

/** Milliseconds after which an operation without events is reported as unknown. */
const UNKNOWN_TIMEOUT = 10_000;

/** Attributes of which a change begins another watch. */
const WATCHED = [...TARGETS, "url", "token", "token-url", "stream"];

/** @typedef {import("./element/display.js").Display} Display */

/** A server has no `HTMLElement`. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? /** @type {any} */ (class {});

export class CeleryProgress extends Base {
  static observedAttributes = [
    ...WATCHED, ...HIDING, "label", "cancellable", "expanded", ...REFLECTED,
  ];

  /** The words that it shows; missing ones are in English. @type {Partial<Words>} */
  static words = WORDS;

  /** @type {Client | null} */
  #client = null;
  /** @type {Watch | WatchMany | Monitor | null} */
  #handle = null;
  /** @type {Error | null} */
  #error = null;
  /** @type {GetToken | undefined} */
  #getToken;
  #restarting = false;
  #target = new Target(this);
  /** The event with the result. @type {EventOf<"result"> | null} */
  #resultEvent = null;
  #isUnknown = false;
  #scheduleRender = oncePerFrame(() => this.#render());
  #countdown = new Countdown(() => this.#scheduleRender());
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #unknownTimer;

  #dispatcher;
  #view;
  #stream;
  #unfolding;
  #announcer;
  #cancelButton;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    this.#dispatcher = new Dispatcher(this);
    this.#view = new View(this);
    this.#stream = new StreamPart(this);
    this.#unfolding = new Unfolding(this);
    this.#announcer = new Announcer(root);
    this.#cancelButton = new CancelButton(this, {
      onChange: () => this.#scheduleRender(),
      onRefused: (error) => this.#dispatcher.dispatch("refused", { error }),
    });
  }

  /** The handle of what the element shows: `.done`, `.observe`, … */
  get handle() {
    return this.#handle;
  }

  /** The snapshot of the operation, or of all of them as one. @returns {Operation | null} */
  get operation() {
    return this.#target.operationOf(this.#handle);
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
    this.#scheduleRender();
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
    if (WATCHED.includes(name)) this.#restartSoon();
    else this.#scheduleRender();
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
    const target = new Target(this);
    if (!target.id) return;
    this.#resetIfChanged(target);
    this.#stream.follow(target.isMany ? null : target.id);
    const token = this.getAttribute("token") ?? undefined;
    try {
      const url = this.getAttribute("url") ?? sidecarOf(HERE);
      const getToken = this.#getToken ?? tokenFrom(this.getAttribute("token-url"));
      this.#client = connect(url, { token, getToken });
    } catch (error) {
      this.#reject(/** @type {Error} */ (error), target.id);
      return;
    }
    const options = {
      stay: true,
      onChange: (
        /** @type {Operation} */ operation,
        /** @type {ProgressEvent | null} */ event,
        /** @type {boolean} */ replayed,
      ) => this.#onChange(operation, event, replayed),
      onRefused: (/** @type {Error} */ error, id = target.id) => this.#reject(error, id),
    };
    const handle = target.watch(this.#client, options);
    this.#handle = handle;
    const wait = () => {
      this.#unknownTimer = setTimeout(() => this.#reportUnknown(target.id), UNKNOWN_TIMEOUT);
    };
    handle.ready.then(() => handle === this.#handle && wait(), () => {});
    this.#client.observe(() => this.#observe());
    this.#scheduleRender();
  }

  /**
   * Forget the events of another operation.
   *
   * @param {Target} target
   */
  #resetIfChanged(target) {
    const { key } = this.#target;
    this.#target = target;
    if (key === target.key) return;
    this.#dispatcher.forget();
    this.#resultEvent = null;
  }

  #observe() {
    const { url, state, lost } = this.#client ?? {};
    // 1000: the client closed it itself, as when a page is left.
    if (lost && lost.code !== NORMAL && state !== "open") warnUnreachable(url, lost);
    this.#scheduleRender();
  }

  /** @param {string} id */
  #reportUnknown(id) {
    if (this.operation) return;
    this.#isUnknown = true;
    warnUnknown(id);
    this.#scheduleRender();
  }

  #stop() {
    this.#announcer.stop();
    this.#countdown.stop();
    this.#unfolding.close();
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
    this.#scheduleRender();
    if (event?.event_type === "result" && !this.#target.isMany) this.#resultEvent = event;
    if (event?.event_type === "status" && event.data.status === "started") this.#resultEvent = null;
    if (event) this.#stream.add(event);
    this.#dispatcher.dispatchOnce(operation, event, replayed);
  }

  /**
   * @param {Error} error
   * @param {string} id
   */
  #reject(error, id) {
    this.#error = error;
    warn(`${id} may not be shown: ${error.message}`);
    this.#dispatcher.dispatch("refused", { error });
    this.#scheduleRender();
  }

  #render() {
    const wordsOf = () => mergeWords(/** @type {typeof CeleryProgress} */ (this.constructor).words);
    const words = wordsOf();
    const [client, { isWorkflow, isMany, id }] = [this.#client, this.#target];
    const shown = this.operation;
    const operation = shown && this.#describe(shown, words);
    const now = client?.now ?? 0;
    const retryIn = secondsToRetry(client, Date.now());
    const { state = "open", lost = null } = client ?? {};
    const link = { state, lost, error: this.#error, isUnknown: this.#isUnknown, retryIn };
    const display = displayOf(operation, words, link, now, languageOf(this));
    this.#view.render(operation, display, words, isWorkflow || isMany, this.#resultEvent, now);
    this.#stream.render();
    this.#cancelButton.render(operation, client, words, isMany);
    this.#unfolding.paint(shown, client, isWorkflow ? id : null, wordsOf);
    this.#announcer.announce(operation, display);
    this.#countdown.update(operation, now, retryIn);
  }

  /**
   * Return the operation as it is shown.
   *
   * @param {Operation} operation
   * @param {Words} words
   */
  #describe(operation, words) {
    const one = this.#target.isWorkflow ? describeWorkflow(operation, words) : operation;
    return this.hasAttribute("no-error-detail") ? withoutErrorDetail(one) : one;
  }
}

if (globalThis.customElements && !customElements.get("celery-progress")) {
  customElements.define("celery-progress", CeleryProgress);
}
