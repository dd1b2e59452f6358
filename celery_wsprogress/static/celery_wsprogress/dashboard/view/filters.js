/**
 * The filters: a button for each group of states, and fields for type, tag, group or workflow, and
 * text.
 *
 * Runs in: a page.
 */

import { found, make, mark, propose, write } from "./dom.js";
import { EVERYTHING, isEmptyFilter, GROUPS } from "../model/filter.js";
import { totalCount } from "../model/operation_list.js";

/** @import { Filter, Group } from "../model/filter.js" */
/** @import { OperationList } from "../model/operation_list.js" */

/** The fields of the form. */
const FIELDS = /** @type {const} */ (["type", "tag", "within", "text"]);

/** @type {Record<Group | "", [name: string, tone: string]>} */
const NAMES = {
  "": ["All", "muted"],
  running: ["Running", "accent"],
  waiting: ["Waiting", "muted"],
  completed: ["Done", "success"],
  error: ["Failed", "failure"],
  cancelled: ["Cancelled", "warning"],
};

export class Filters {
  /** @type {Filter} */
  filter = EVERYTHING;

  #form = found("filters", HTMLFormElement);
  #shown = found("shown");
  #clear = found("clear");
  #types = found("types", HTMLDataListElement);
  #tags = found("tags", HTMLDataListElement);
  /** @type {Map<Group | "", { button: HTMLElement, count: HTMLElement }>} */
  #buttons = new Map();
  #workflows = makeToggle("Workflows");
  #onFilter;

  /** @param {() => void} onFilter Called when the filter has changed. */
  constructor(onFilter) {
    this.#onFilter = onFilter;
    const groups = found("groups");
    for (const group of /** @type {(Group | "")[]} */ (["", ...GROUPS])) {
      groups.append(this.#makeButton(group));
    }
    this.#workflows.button.addEventListener("click", () => {
      this.#change({ workflows: !this.filter.workflows });
    });
    groups.append(this.#workflows.button);
    this.#form.addEventListener("input", () => this.#change({}));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#clear.addEventListener("click", () => this.clear());
    this.#markPressed();
  }

  /**
   * Take over a filter, as an address has it.
   *
   * @param {Filter} filter
   */
  set(filter) {
    for (const name of FIELDS) this.#field(name).value = filter[name];
    this.filter = filter;
    this.#markPressed();
  }

  /** Show everything. */
  clear() {
    this.#form.reset();
    this.#change({ group: "", workflows: false });
    this.#field("text").focus();
  }

  /** @param {OperationList} operationList */
  paint({ counts, size, order, types, tags, workflows }) {
    this.#workflows.button.hidden = !workflows && !this.filter.workflows;
    write(this.#workflows.count, String(workflows));
    for (const [group, { count }] of this.#buttons) {
      write(count, String(group ? counts[group] : totalCount(counts)));
    }
    const nothing = isEmptyFilter(this.filter);
    const of = (/** @type {number} */ value) => value.toLocaleString("en");
    write(this.#shown, nothing ? "" : `${of(order.length)} of ${of(size)} shown`);
    this.#clear.hidden = nothing;
    propose(this.#types, types);
    propose(this.#tags, tags);
  }

  /** @param {Group | ""} group */
  #makeButton(group) {
    const { button, count } = makeToggle(...NAMES[group]);
    button.addEventListener("click", () => {
      this.#change({ group: this.filter.group === group ? "" : group });
    });
    this.#buttons.set(group, { button, count });
    return button;
  }

  /** @param {Partial<Filter>} change */
  #change(change) {
    const texts = Object.fromEntries(FIELDS.map((name) => [name, this.#field(name).value]));
    this.filter = { ...this.filter, ...texts, ...change };
    this.#markPressed();
    this.#onFilter();
  }

  #markPressed() {
    for (const [group, { button }] of this.#buttons) {
      mark(button, "aria-pressed", String(this.filter.group === group));
    }
    mark(this.#workflows.button, "aria-pressed", String(this.filter.workflows));
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }
}

/**
 * Return a button that can be pressed, with a count.
 *
 * @param {string} name
 * @param {string} [tone]
 */
function makeToggle(name, tone = "muted") {
  const count = make("span", { class: "count" }, "0");
  const button = make("button", { type: "button", class: "group", "data-tone": tone }, name, count);
  return { button, count };
}
