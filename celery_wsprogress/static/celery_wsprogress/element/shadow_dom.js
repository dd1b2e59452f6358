/**
 * What is in the shadow of `<celery-progress>`: its parts, its slots and its style.
 *
 * Nothing is made from text that would be read as HTML.
 *
 * Runs in: a page.
 */

import { STYLES } from "./styles.js";

/** One for all elements of a document. @type {WeakMap<Document, CSSStyleSheet>} */
const sheets = new WeakMap();

/**
 * A figure whose direction is its own, among others.
 *
 * @param {string} text
 */
export function isolateDirection(text) {
  return `\u2068${text}\u2069`;
}

/**
 * Put everything into a shadow.
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
 * Give a shadow its style. One that comes into another document, as that of a frame, has lost it:
 * a sheet is of the document in which it was made.
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
