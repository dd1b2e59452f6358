/**
 * One row of the steps of `<celery-progress>`: a task, a chain or a group.
 *
 * Runs in: a page.
 */

import { reflect } from "./attributes.js";
import { fillTemplate, formatNumber, formatPercent } from "./format.js";
import { createPart, isolateDirection, setText } from "./shadow_dom.js";

/** @import { Words } from "./format.js" */
/** @import { StepRow } from "./step_rows.js" */

export class Row {
  element = createPart("step");
  #fold = createPart("step-fold");
  #module = document.createElement("span");
  #last = document.createElement("span");
  #name = createPart("step-name", this.#module, this.#last);
  #figures = createPart("step-figures");
  #fill = createPart("step-fill");
  #bar = createPart("step-bar", this.#fill);

  constructor() {
    const { element } = this;
    element.setAttribute("role", "treeitem");
    this.#fold.setAttribute("aria-hidden", "true");
    const attributes = { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" };
    for (const [name, value] of Object.entries(attributes)) this.#bar.setAttribute(name, value);
    element.append(this.#fold, this.#name, this.#bar, this.#figures);
  }

  /**
   * Place it among the rows.
   *
   * @param {StepRow} row
   * @param {number} top In pixels.
   * @param {boolean} unfolded
   */
  place({ node, level, position, size }, top, unfolded) {
    const { element } = this;
    element.style.transform = `translateY(${top}px)`;
    element.style.setProperty("--_level", String(level - 1));
    reflect(element, "aria-level", String(level));
    reflect(element, "aria-posinset", String(position));
    reflect(element, "aria-setsize", String(size));
    reflect(element, "aria-expanded", node.children.length ? String(unfolded) : undefined);
  }

  /**
   * @param {StepRow} row
   * @param {Words} words
   * @param {string | undefined} language
   * @param {boolean} isDetailed Whether what its exception said may be shown.
   */
  paint({ node }, words, language, isDetailed) {
    const { kind, state, progress, total, ended, message } = node;
    const isTask = kind === "task";
    const name = isTask ? node.type || words.task : words[kind];
    const count = (/** @type {number} */ value) => formatNumber(value, language);
    const of = isTask ? "" : fillTemplate(words.of, count(ended), count(total));
    const word = words[state];
    const figures = isTask ? (state === "running" ? formatPercent(progress, language) : word) : of;
    const shown = node.over && state === "completed" ? 1 : progress;
    reflect(this.element, "data-state", state);
    reflect(this.element, "data-kind", kind);
    // In a narrow column the module is cut, because the last part distinguishes tasks.
    const at = isTask ? name.lastIndexOf(".") + 1 : 0;
    setText(this.#module, name.slice(0, at));
    setText(this.#last, name.slice(at));
    this.#name.title = message && isDetailed ? `${name}: ${message}` : name;
    setText(this.#figures, of ? isolateDirection(figures) : figures);
    this.#fill.style.inlineSize = `${shown * 100}%`;
    reflect(this.#bar, "aria-label", name);
    reflect(this.#bar, "aria-valuenow", String(Math.floor(shown * 100)));
    reflect(this.#bar, "aria-valuetext", [word, of].filter(Boolean).join(", "));
  }
}
