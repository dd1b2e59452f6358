/**
 * The style of `<celery-progress>`, as the text of a sheet.
 *
 * The colours follow the page's `color-scheme`; each can be set as a custom property, and
 * everything else by its part. Names that begin with `--_` are private, so that they do not hide
 * variables of the page.
 */
export declare const STYLES: string;
