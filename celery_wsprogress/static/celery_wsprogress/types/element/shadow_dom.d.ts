/**
 * The shadow tree of `<celery-progress>`: its parts, slots and style.
 *
 * No HTML is made from text.
 *
 * Runs in: a page.
 */
/**
 * Isolate the text direction of a figure (U+2068 and U+2069).
 *
 * @param {string} text
 */
export declare function isolateDirection(text: string): string;
/**
 * Build the shadow tree.
 *
 * @param {ShadowRoot} root
 */
export declare function buildShadow(root: ShadowRoot): void;
/**
 * Add the style. An element that moves to another document loses it: a constructed sheet belongs
 * to its document.
 *
 * @param {ShadowRoot} root
 */
export declare function adoptStyles(root: ShadowRoot): void;
/**
 * Return a part.
 *
 * @param {ShadowRoot} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export declare function part(root: ShadowRoot, name: string): HTMLElement;
/**
 * Set the text of a node if it differs.
 *
 * @param {Node} node
 * @param {string} text
 */
export declare function setText(node: Node, text: string): void;
/**
 * @param {string} name
 * @param {...HTMLElement} children
 */
export declare function createPart(name: string, ...children: HTMLElement[]): HTMLDivElement;
