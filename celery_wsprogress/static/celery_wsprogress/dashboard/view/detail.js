/**
 * The panel of one operation: its bar, error, result, steps, log and properties.
 *
 * Runs in: a page.
 */

import "../../element.js";
import { operationAccessError } from "../model/access_errors.js";
import { CancelControl } from "./cancel_control.js";
import { found, make, write } from "./dom.js";
import { Properties } from "./properties.js";
import { LogView } from "./log_view.js";
import { flowerTaskUrl } from "../model/routing.js";
import { MAX_EVENTS, EventLog } from "../model/event_log.js";
import { workflowIdOf } from "../model/workflow_steps.js";
import { timeOfDay, messageOf, durationOf, prettyJson } from "../model/format.js";

/** @import { CeleryProgress } from "../../element.js" */
/** @import { Watch } from "../../client/handles.js" */
/** @import { Session } from "../session.js" */
/** @import { Step } from "../model/timeline.js" */

/** Milliseconds for which a button shows that it worked. */
const CONFIRMATION_TIME = 1_500;

export class Detail {
  /** The id of the operation that is shown; null if none is. @type {string | null} */
  id = null;

  #aside = found("detail");
  #log = new EventLog();
  /** @type {Watch | null} */
  #watch = null;
  /** The text of a rejection; empty without one. */
  #refusal = "";
  #properties = new Properties();
  #cancel = new CancelControl();
  #logView = new LogView();
  #parts = makeParts();
  #steps = "";
  #changed = false;
  #hooks;

  /**
   * @param {object} hooks
   * @param {() => void} hooks.onChange Called when it must be painted.
   * @param {() => void} hooks.onClose Called when it should close.
   * @param {(id: string) => void} hooks.onOpen Called to open a step of the workflow.
   * @param {string} hooks.flower The address of Flower; may be empty.
   */
  constructor(hooks) {
    this.#hooks = hooks;
    this.#parts.close.addEventListener("click", hooks.onClose);
    this.#parts.copy.addEventListener("click", () => this.#copy());
  }

  /**
   * Show an operation, or none.
   *
   * @param {string | null} id
   * @param {Session} session
   */
  show(id, session) {
    this.id = id;
    this.#watch?.close();
    this.#watch = null;
    this.#refusal = "";
    this.#log = new EventLog();
    this.#logView.clear();
    this.#steps = "";
    this.#aside.hidden = id === null;
    document.body.classList.toggle("looking", id !== null);
    // Removing the element also ends its watch.
    this.#aside.replaceChildren();
    if (id === null) return;
    this.#build(id, session);
    if (session.client.error) this.#reject(session.client.error, session);
    else this.#startWatch(id, session);
    this.#change();
  }

  /** Focus the title. */
  focus() {
    this.#parts.title.focus();
  }

  paint() {
    if (!this.#changed || this.id === null) return;
    this.#changed = false;
    const operation = this.#watch?.operation ?? null;
    const { title, message, result, error } = this.#parts;
    write(title, operation?.operation_type || "Unknown operation");
    write(message, this.#refusal || (operation ? "" : UNKNOWN_TEXT));
    message.hidden = !message.textContent;
    this.#properties.paint(operation);
    this.#cancel.paint(operation);
    this.#paintSteps(this.#log.steps(operation));
    this.#logView.paint(this.#log);
    const gave = this.#log.result !== undefined;
    show(result, gave ? (this.#log.exact ?? prettyJson(this.#log.result)) : null);
    write(result.heading, this.#log.truncated ? "Result (truncated)" : "Result");
    show(error, operation?.error == null ? null : messageOf(operation));
  }

  /**
   * @param {string} id
   * @param {Session} session
   */
  #startWatch(id, session) {
    const eventLog = this.#log;
    const change = () => this.#change();
    const applyHistory = () => this.#loadHistory(id, session, eventLog);
    this.#watch = session.client.watch(id, {
      stay: true,
      onChange: (_operation, event) => {
        if (event) eventLog.take(event);
        // A snapshot stands for skipped events, which the history may still have.
        if (event?.event_type === "snapshot") applyHistory();
        change();
      },
      onRefused: (error) => this.#reject(error, session),
    });
    // `onRefused` shows a rejection.
    this.#watch.ready.then(applyHistory, change);
  }

  /**
   * Load the history, if the sidecar has this feature.
   *
   * @param {string} id
   * @param {Session} session
   * @param {EventLog} eventLog
   */
  async #loadHistory(id, { client }, eventLog) {
    this.#change();
    if (!client.features.includes("history")) return;
    try {
      const { events, complete } = await client.history(id, { limit: MAX_EVENTS });
      eventLog.applyHistory(events, complete);
      this.#change();
    } catch {
      // Without the history, live events are shown.
    }
  }

  /**
   * @param {Error} error
   * @param {Session} session
   */
  #reject(error, { token }) {
    this.#refusal = operationAccessError(error, token !== "");
    this.#change();
  }

  #change() {
    this.#changed = true;
    this.#hooks.onChange();
  }

  /**
   * @param {string} id
   * @param {Session} session
   */
  #build(id, session) {
    const { head, title, id: shown, copy, close, message, timeline, result, error } = this.#parts;
    const bar = /** @type {CeleryProgress} */ (document.createElement("celery-progress"));
    const workflowId = workflowIdOf(id);
    bar.setAttribute(workflowId === null ? "task-id" : "workflow-id", workflowId ?? id);
    bar.toggleAttribute("expanded", workflowId !== null);
    bar.addEventListener("celery-step", (event) => {
      this.#hooks.onOpen(/** @type {CustomEvent} */ (event).detail.id);
    });
    bar.setAttribute("url", session.client.url);
    bar.getToken = session.getToken;
    write(title, "");
    write(shown, id);
    this.#cancel.show(id, session);
    const links = make("div", { class: "links" }, copy);
    const flower = flowerTaskUrl(this.#hooks.flower, id);
    if (flower && workflowId === null) {
      const how = { href: flower, target: "_blank", rel: "noopener noreferrer", class: "button" };
      links.append(make("a", how, "In Flower"));
    }
    links.append(this.#cancel.element);
    head.replaceChildren(title, close, make("div", { class: "id" }, shown), links);
    this.#aside.replaceChildren(
      head,
      // It may scroll, also where nothing in it takes the focus.
      make("div", { class: "detail-body", role: "group", "aria-label": "Details", tabindex: "0" }, message, bar, error.section, result.section,
        timeline.section, this.#logView.element, this.#properties.element),
    );
    timeline.list.replaceChildren();
    for (const one of [result, error]) show(one, null);
  }

  /** @param {Step[]} steps */
  #paintSteps(steps) {
    const { section, list } = this.#parts.timeline;
    section.hidden = !steps.length;
    // Steps are few and rarely change: compare them as JSON.
    const all = JSON.stringify(steps);
    if (all === this.#steps) return;
    this.#steps = all;
    list.replaceChildren(...steps.map(makeStep));
  }

  async #copy() {
    const { copy } = this.#parts;
    try {
      await navigator.clipboard.writeText(this.id ?? "");
      write(copy, "Copied");
    } catch {
      // The clipboard needs a secure context: select the id to be copied by hand.
      getSelection()?.selectAllChildren(this.#parts.id);
      write(copy, "Selected");
    }
    setTimeout(() => write(copy, "Copy the id"), CONFIRMATION_TIME);
  }
}

const UNKNOWN_TEXT = "This id is unknown so far. The operation appears here when it begins.";

function makeParts() {
  const list = make("ol", { class: "timeline" });
  const section = make("section", {}, make("h3", {}, "Timeline"), list);
  return {
    head: make("header", { class: "detail-head" }),
    title: make("h2", { id: "detail-title", tabindex: "-1", dir: "auto" }),
    id: make("code", { dir: "auto" }),
    copy: make("button", { type: "button" }, "Copy the id"),
    close: make("button", { type: "button", class: "quiet close", "aria-label": "Close", title: "Close (Esc)" }, "×"),
    message: make("p", { class: "notice", role: "status" }),
    timeline: { section, list },
    result: makeText("Result", "result"),
    error: makeText("Error", "failed"),
  };
}

/**
 * @param {string} name
 * @param {string} kind
 */
function makeText(name, kind) {
  const heading = make("h3", {}, name);
  const text = make("pre", { class: kind, dir: "auto", tabindex: "0", "aria-label": name });
  return { section: make("section", {}, heading, text), heading, text };
}

/**
 * @param {{ section: HTMLElement, text: HTMLElement }} part
 * @param {string | null} text Null if there is none.
 */
function show({ section, text: element }, text) {
  section.hidden = text === null;
  write(element, text ?? "");
}

/** @param {Step} step */
function makeStep({ word, at, note, tone, after }) {
  const made = make("li", { "data-tone": tone }, make("strong", { dir: "auto" }, word));
  made.append(make("time", { datetime: new Date(at * 1000).toISOString() }, timeOfDay(at)));
  if (after !== null) made.append(make("span", { class: "after" }, `+${durationOf(after)}`));
  if (note) made.append(make("p", { dir: "auto" }, note));
  return made;
}
