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
  const bar = part("bar", part("fill"));
  const attributes = { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" };
  for (const [name, value] of Object.entries(attributes)) bar.setAttribute(name, value);
  const live = part("live");
  live.setAttribute("aria-live", "polite");
  root.append(
    part("head", part("label", slot("label")), part("status")),
    bar,
    part("foot", part("message"), part("figures")),
    part("error"),
    part("result", slot("result")),
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
 * @param {string} name
 * @param {...HTMLElement} children
 */
function part(name, ...children) {
  const made = document.createElement("div");
  made.setAttribute("part", name);
  made.append(...children);
  return made;
}

/** @param {string} name */
function slot(name) {
  const made = document.createElement("slot");
  made.name = name;
  return made;
}
