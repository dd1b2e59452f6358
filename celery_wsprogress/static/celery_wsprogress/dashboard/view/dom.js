/**
 * Helpers to find, create and update elements. None of them parses HTML.
 *
 * Runs in: a page.
 */

/**
 * Return an element of the page by its id.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [kind] The expected class.
 * @returns {T}
 */
export function found(id, kind) {
  const element = document.getElementById(id);
  const Kind = kind ?? HTMLElement;
  if (!(element instanceof Kind)) throw new TypeError(`#${id} is not what it should be`);
  return /** @type {T} */ (element);
}

/**
 * Create an element.
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
 * Create an SVG element.
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
 * Set the text of an element, if it has changed.
 *
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Set an attribute, if it has changed; null removes it.
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
 * Set the options of a list, if their number has changed.
 *
 * @param {HTMLDataListElement} list
 * @param {Set<string>} names
 */
export function propose(list, names) {
  if (list.options.length === names.size) return;
  list.replaceChildren(...[...names].sort().map((value) => make("option", { value })));
}
