/**
 * The attributes of `<celery-progress>`: those that it reflects, and the language of its text.
 *
 * Runs in: a page.
 */
/** Attributes that the element sets on itself, for the styles of a page. */
export declare const REFLECTED: string[];
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
