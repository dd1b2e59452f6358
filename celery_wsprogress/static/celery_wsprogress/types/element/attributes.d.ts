/**
 * The attributes of `<celery-progress>`: those that it watches and reflects, its name where it has
 * no label, and the language of its text.
 *
 * Runs in: a page.
 */
/** Attributes that the element sets on itself, for the styles of a page. */
export declare const REFLECTED: string[];
/** Attributes that hide what an end user does not need. */
export declare const HIDING: string[];
/**
 * Return which of the words names what an element follows, where neither a label nor the name of a
 * task is known. No id: it says nothing to who reads it.
 *
 * @param {Element} element
 * @returns {"workflow" | "task" | "tasks"}
 */
export declare function fallbackLabel(element: Element): "workflow" | "task" | "tasks";
/**
 * Set an attribute; remove it if the value is undefined.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | undefined} value
 */
export declare function reflect(element: Element, name: string, value: string | undefined): void;
/**
 * Return the `lang` of the nearest element that has one, also outside of shadow trees.
 *
 * @param {Element} element
 * @returns {string | undefined}
 */
export declare function languageOf(element: Element): string | undefined;
