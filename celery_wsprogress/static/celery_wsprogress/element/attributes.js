/**
 * The attributes of `<celery-progress>`: those that it reflects, and the language of its text.
 *
 * Runs in: a page.
 */

/** Attributes that the element sets on itself, for the styles of a page. */
export const REFLECTED = ["state", "status", "indeterminate", "connection"];

/**
 * Set an attribute; remove it if the value is undefined.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | undefined} value
 */
export function reflect(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Return the `lang` of the nearest element that has one, also outside of shadow trees.
 *
 * @param {Element} element
 * @returns {string | undefined}
 */
export function languageOf(element) {
  for (let node = /** @type {any} */ (element); node; node = node.getRootNode().host) {
    const closest = node.closest("[lang]");
    if (closest) return closest.getAttribute("lang") || undefined;
  }
}
