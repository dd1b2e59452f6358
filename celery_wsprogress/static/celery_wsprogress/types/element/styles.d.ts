/**
 * How `<celery-progress>` looks: its style, as the text of a sheet.
 *
 * The colours follow the page's `color-scheme`; each can be set as a custom property, and
 * everything else by its part. The names that begin with `--_` are its own: a page that says
 * `--celery-accent: var(--accent)` means its own `--accent`.
 */
export declare const STYLES: string;
