/**
 * What is in the shadow of `<celery-progress>`: its parts, its slots and its style.
 *
 * Nothing is made from text that would be read as HTML.
 *
 * Runs in: a page.
 */
/**
 * A figure whose direction is its own, among others.
 *
 * @param {string} text
 */
export declare function isolateDirection(text: string): string;
/**
 * Put everything into a shadow.
 *
 * @param {ShadowRoot} root
 */
export declare function buildShadow(root: ShadowRoot): void;
/**
 * Give a shadow its style. One that comes into another document, as that of a frame, has lost it:
 * a sheet is of the document in which it was made.
 *
 * @param {ShadowRoot} root
 */
export declare function adoptStyles(root: ShadowRoot): void;
