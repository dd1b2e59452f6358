/**
 * The attributes of `<celery-progress>`: those that it watches and reflects, its name where it has
 * no label, and the language of its text.
 *
 * Runs in: a page.
 */

/** Attributes that the element sets on itself, for the styles of a page. */
export const REFLECTED = ["state", "status", "indeterminate", "connection"];

/** Attributes that hide what an end user does not need. */
export const HIDING = ["no-result", "no-error-detail"];

/**
 * Return which of the words names what an element follows, where neither a label nor the name of a
 * task is known. No id: it says nothing to who reads it.
 *
 * @param {Element} element
 * @returns {"workflow" | "task" | "tasks"}
 */
export function fallbackLabel(element) {
  if (element.getAttribute("workflow-id")) return "workflow";
  return element.getAttribute("task-id") ? "task" : "tasks";
}

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
