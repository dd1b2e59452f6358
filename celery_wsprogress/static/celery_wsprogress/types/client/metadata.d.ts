/**
 * The metadata of an operation, merged from its events and bounded as the sidecar does it
 * (`operations/held_values.py`): a task may set ever new names.
 *
 * Pure.
 */
export type Metadata = Record<string, unknown>;
/**
 * Return the metadata of two events in one object.
 *
 * If that is too large, only those that are preferred stay: a worker sends all that a task has set
 * with each change of it.
 *
 * @param {Metadata} older
 * @param {Metadata} newer
 * @param {boolean} preferOlder
 * @returns {Metadata}
 */
export declare function mergeMetadata(older: Metadata, newer: Metadata, preferOlder: boolean): Metadata;
