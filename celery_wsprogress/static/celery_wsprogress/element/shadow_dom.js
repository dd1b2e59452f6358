/**
 * The shadow tree of `<celery-progress>`: its parts, slots and style.
 *
 * No HTML is made from text.
 *
 * Runs in: a page.
 */

import { STYLES } from "./styles.js";

/** One sheet per document. @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/**
 * Isolate the text direction of a figure (U+2068 and U+2069).
 *
 * @param {string} text
 */
export function isolateDirection(text) {
  return `\u2068${text}\u2069`;
}

/**
 * Build the shadow tree.
 *
 * @param {ShadowRoot} root
 */
export function buildShadow(root) {
  adoptStyles(root);
  const bar = createPart("bar", createPart("fill"), createPart("phases"));
  const attributes = { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" };
  for (const [name, value] of Object.entries(attributes)) bar.setAttribute(name, value);
  const toggle = document.createElement("button");
  for (const [name, value] of [["part", "toggle"], ["type", "button"], ["aria-controls", "steps"]]) {
    toggle.setAttribute(name, value);
  }
  const steps = createPart("steps");
  steps.id = "steps";
  toggle.hidden = steps.hidden = true;
  const live = createPart("live");
  const stream = createPart("stream", createSlot("stream"));
  for (const told of [live, stream]) told.setAttribute("aria-live", "polite");
  root.append(
    createPart("head", toggle, createPart("label", createSlot("label")), createPart("status"), createButton()),
    bar,
    createPart("foot", createPart("message"), createPart("figures")),
    createPart("error"),
    stream,
    createPart("result", createSlot("result")),
    steps,
    live,
  );
}

/**
 * Add the style. An element that moves to another document loses it: a constructed sheet belongs
 * to its document.
 *
 * @param {ShadowRoot} root
 */
export function adoptStyles(root) {
  const { ownerDocument: document } = root;
  const view = document.defaultView;
  if (!view || root.adoptedStyleSheets.length) return;
  let sheet = sheets.get(document);
  if (!sheet) {
    sheet = new (/** @type {any} */ (view).CSSStyleSheet)();
    sheet?.replaceSync(STYLES);
    sheets.set(document, /** @type {CSSStyleSheet} */ (sheet));
  }
  root.adoptedStyleSheets = [/** @type {CSSStyleSheet} */ (sheet)];
}

/**
 * Return a part.
 *
 * @param {ShadowRoot} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(root, name) {
  return /** @type {HTMLElement} */ (root.querySelector(`[part=${name}]`));
}

/**
 * Set the text of a node if it differs.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {string} name
 * @param {...HTMLElement} children
 */
export function createPart(name, ...children) {
  const div = document.createElement("div");
  div.setAttribute("part", name);
  div.append(...children);
  return div;
}

function createButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("part", "cancel");
  button.hidden = true;
  return button;
}

/** @param {string} name */
function createSlot(name) {
  const slot = document.createElement("slot");
  slot.name = name;
  return slot;
}
