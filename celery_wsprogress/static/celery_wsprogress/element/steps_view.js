/**
 * The steps below the bar of `<celery-progress workflow-id="…">`: a tree, of which only the visible
 * rows exist, however many tasks there are. Loaded when it is first unfolded.
 *
 * Runs in: a page.
 */

import { watchSteps } from "../steps.js";
import { oncePerFrame } from "./animation_frame.js";
import { languageOf, reflect } from "./attributes.js";
import { setText } from "./shadow_dom.js";
import { Row } from "./step_row.js";
import { Folding, rowsOf } from "./step_rows.js";
import { STEP_STYLES } from "./step_styles.js";
import { indexForKey, scrollToReveal, visibleRange } from "./virtual_list.js";

/** @import { Client } from "../client.js" */
/** @import { WorkflowNode } from "../client/workflow_tree.js" */
/** @import { Words } from "./format.js" */
/** @import { StepRow } from "./step_rows.js" */

/** Progress events per second of each task; the eye sees no more of a small bar. */
const MAX_RATE = 5;

/** Pixels, until a row can be measured. */
const ROW_HEIGHT = 26;

export class StepsView {
  #box;
  #words;
  #steps;
  #tree = div("steps-rows");
  #note = div("steps-note");
  #folding = new Folding();
  /** @type {StepRow[]} */
  #rows = [];
  /** The rows that exist. @type {Map<WorkflowNode, Row>} */
  #shown = new Map();
  /** The nodes of these. @type {WeakMap<Element, WorkflowNode>} */
  #nodes = new WeakMap();
  /** The row with the tab stop. @type {WorkflowNode | null} */
  #active = null;
  #view = { top: 0, height: 0, row: ROW_HEIGHT };
  #resized;
  #paintSoon = oncePerFrame(() => this.#paint());

  /**
   * @param {HTMLElement} box Where to show them.
   * @param {Client} client
   * @param {string} id The id of the workflow.
   * @param {() => Words} words
   */
  constructor(box, client, id, words) {
    this.#box = box;
    this.#words = words;
    adoptStepStyles(/** @type {ShadowRoot} */ (box.getRootNode()));
    this.#tree.setAttribute("role", "tree");
    this.#tree.setAttribute("aria-label", words().steps);
    box.replaceChildren(this.#tree, this.#note);
    box.addEventListener("scroll", this.#onScroll, { passive: true });
    box.addEventListener("click", this.#onClick);
    box.addEventListener("keydown", this.#onKey);
    this.#resized = new ResizeObserver(this.#paintSoon);
    this.#resized.observe(box);
    this.#steps = watchSteps(client, id, { max_rate: MAX_RATE });
    this.#steps.observe(this.#paintSoon);
    this.#steps.ready.then(this.#paintSoon, this.#paintSoon);
    this.#paintSoon();
  }

  /** Stop watching, and remove the rows. */
  close() {
    this.#steps.close();
    this.#resized.disconnect();
    this.#box.removeEventListener("scroll", this.#onScroll);
    this.#box.removeEventListener("click", this.#onClick);
    this.#box.removeEventListener("keydown", this.#onKey);
    this.#box.replaceChildren();
  }

  #onScroll = () => {
    this.#paintSoon();
  };

  #onClick = (/** @type {MouseEvent} */ event) => {
    const node = this.#nodeOf(event.target);
    if (!node) return;
    this.#active = node;
    const target = /** @type {Element} */ (event.target);
    if (node.children.length && target.closest("[part=step-fold]")) {
      this.#fold(node, !this.#folding.isUnfolded(node));
    } else this.#activate(node);
    this.#focus(this.#rows.findIndex((one) => one.node === node));
  };

  /** As the pattern of a tree has it (ARIA Authoring Practices Guide, "Tree View"). */
  #onKey = (/** @type {KeyboardEvent} */ event) => {
    const node = this.#nodeOf(event.target);
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#rows.findIndex((one) => one.node === node);
    const to = this.#follow(event.key, node, at) ?? indexForKey(event.key, at, this.#rows.length, this.#view);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.#focus(to);
  };

  /**
   * Fold or unfold, and return the index of the row to go to; null for any other key.
   *
   * @param {string} key
   * @param {WorkflowNode} node
   * @param {number} at Its index.
   */
  #follow(key, node, at) {
    const unfolded = this.#folding.isUnfolded(node);
    const rightToLeft = getComputedStyle(this.#box).direction === "rtl";
    const [into, out] = rightToLeft ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
    if (key === into && node.children.length) return unfolded ? at + 1 : this.#fold(node, true) ?? at;
    if (key === out && unfolded) return this.#fold(node, false) ?? at;
    if (key === out) return this.#rows.findIndex((one) => one.node === this.#rows[at].parent);
    if (key !== "Enter" && key !== " ") return null;
    this.#activate(node);
    return at;
  }

  /**
   * Fold or unfold a block; tell the page of a task that the reader has chosen it.
   *
   * @param {WorkflowNode} node
   */
  #activate(node) {
    if (node.kind !== "task") return this.#fold(node, !this.#folding.isUnfolded(node));
    const init = { bubbles: true, composed: true, detail: { id: node.id, state: node.state } };
    this.#box.dispatchEvent(new CustomEvent("celery-step", init));
  }

  /**
   * @param {WorkflowNode} node
   * @param {boolean} unfolded
   */
  #fold(node, unfolded) {
    this.#folding.set(node, unfolded);
    this.#rows = rowsOf(this.#steps.tree, this.#folding);
    this.#paintSoon();
  }

  /** @param {number} index */
  #focus(index) {
    if (index < 0 || index >= this.#rows.length) return;
    this.#active = this.#rows[index].node;
    this.#measure();
    const top = scrollToReveal(this.#view, index);
    if (top !== this.#view.top) this.#box.scrollTop = top;
    this.#paint();
    this.#shown.get(this.#active)?.element.focus({ preventScroll: true });
  }

  #measure() {
    const [first] = this.#shown.values();
    const row = first?.element.offsetHeight || this.#view.row;
    this.#view = { top: this.#box.scrollTop, height: this.#box.clientHeight, row };
  }

  #paint() {
    const { tree, error } = this.#steps;
    const words = this.#words();
    this.#rows = rowsOf(tree, this.#folding);
    this.#measure();
    this.#tree.style.blockSize = `${this.#rows.length * this.#view.row}px`;
    const missing = tree.total - tree.steps.size;
    setText(this.#note, error ? words.stepsRefused : "");
    this.#note.hidden = !error;
    this.#tree.setAttribute("aria-busy", String(!error && (missing > 0 || !tree.total)));
    this.#paintRows(words);
  }

  /** @param {Words} words */
  #paintRows(words) {
    const { first, last } = visibleRange(this.#view, this.#rows.length);
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.#rows[index].node, index);
    // The row with the focus exists also where it is not visible, or the focus would be lost.
    const root = /** @type {ShadowRoot} */ (this.#box.getRootNode());
    const focused = this.#nodeOf(root.activeElement);
    if (focused && !wanted.has(focused)) {
      const index = this.#rows.findIndex((one) => one.node === focused);
      if (index >= 0) wanted.set(focused, index);
    }
    for (const [node, row] of this.#shown) if (!wanted.has(node)) this.#remove(node, row);
    const language = languageOf(this.#box);
    const isDetailed = !root.host.hasAttribute("no-error-detail");
    const active = wanted.has(this.#active) ? this.#active : this.#rows[first]?.node;
    for (const [node, index] of wanted) {
      const row = this.#shown.get(node) ?? this.#create(node);
      row.place(this.#rows[index], index * this.#view.row, this.#folding.isUnfolded(node));
      row.paint(this.#rows[index], words, language, isDetailed);
      reflect(row.element, "tabindex", node === active ? "0" : "-1");
      if (!row.element.isConnected) this.#tree.append(row.element);
    }
  }

  /** @param {WorkflowNode} node */
  #create(node) {
    const row = new Row();
    this.#shown.set(node, row);
    this.#nodes.set(row.element, node);
    return row;
  }

  /**
   * @param {WorkflowNode} node
   * @param {Row} row
   */
  #remove(node, row) {
    row.element.remove();
    this.#shown.delete(node);
  }

  /** @param {EventTarget | null} target */
  #nodeOf(target) {
    const row = target instanceof Element ? target.closest("[role=treeitem]") : null;
    return (row && this.#nodes.get(row)) ?? null;
  }
}

/** @param {string} name */
function div(name) {
  const made = document.createElement("div");
  made.setAttribute("part", name);
  return made;
}

/** One sheet per document. @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/** @param {ShadowRoot} root */
function adoptStepStyles(root) {
  const { ownerDocument: document } = root;
  let sheet = sheets.get(document);
  if (!sheet) {
    sheet = new (/** @type {any} */ (document.defaultView).CSSStyleSheet)();
    /** @type {CSSStyleSheet} */ (sheet).replaceSync(STEP_STYLES);
    sheets.set(document, /** @type {CSSStyleSheet} */ (sheet));
  }
  const all = root.adoptedStyleSheets;
  const wanted = /** @type {CSSStyleSheet} */ (sheet);
  if (!all.includes(wanted)) root.adoptedStyleSheets = [...all, wanted];
}
