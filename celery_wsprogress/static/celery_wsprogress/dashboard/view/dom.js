/**
 * The few things that are done to a page all the time. Text is text: nothing here reads HTML.
 *
 * Runs in: a page.
 */

/**
 * An element of the page, by its id.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [kind] What it is to be.
 * @returns {T}
 */
export function found(id, kind) {
  const element = document.getElementById(id);
  const Kind = kind ?? HTMLElement;
  if (!(element instanceof Kind)) throw new TypeError(`#${id} is not what it should be`);
  return /** @type {T} */ (element);
}

/**
 * A new element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * A new element of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
export function draw(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Say something, unless it is said already.
 *
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set an attribute, unless it is set already; null takes it away.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function mark(element, name, value) {
  if (element.getAttribute(name) === value) return;
  if (value === null) element.removeAttribute(name);
  else element.setAttribute(name, value);
}

/**
 * Whether a list of options is the one that it should be, or make it so.
 *
 * @param {HTMLDataListElement} list
 * @param {Set<string>} names
 */
export function propose(list, names) {
  if (list.options.length === names.size) return;
  list.replaceChildren(...[...names].sort().map((value) => make("option", { value })));
}
