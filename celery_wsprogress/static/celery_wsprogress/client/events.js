/**
 * The types of events, as a union by `event_type`: to test that is to know the `data`.
 *
 *     if (event.event_type === "progress") show(event.data.progress);
 *
 * Types only. The shapes are those of `protocol/events.py`; fields that are not said are absent.
 *
 * @import { Operation } from "./protocol.js"
 *
 * @typedef {object} StatusData
 * @property {string} status The status word.
 * @property {string} message
 * @property {Record<string, unknown>} details
 * @property {string} [operation_type]
 * @property {Record<string, unknown>} [metadata]
 * @property {string[]} [tags]
 * @property {number} [attempt] Counted from 1.
 * @property {number} [max_attempts]
 * @property {string} [worker]
 * @property {string} [queue]
 * @property {number} [retry_in] Seconds.
 * @property {number} [starts_at] Epoch seconds.
 * @property {number} [expires_at] Epoch seconds.
 * @property {string} [parent_id]
 * @property {string} [root_id]
 * @property {string} [group_id]
 *
 * @typedef {object} ProgressData
 * @property {number} progress 0 to 1.
 * @property {string} message
 * @property {Record<string, unknown>} details
 * @property {number} [current]
 * @property {number} [total]
 * @property {string} [unit]
 * @property {number} [rate] Units a second.
 * @property {number} [eta] Seconds.
 * @property {boolean} [indeterminate] The total is unknown.
 *
 * @typedef {object} LogData
 * @property {"debug" | "info" | "warning" | "error" | "critical"} level
 * @property {string} message
 * @property {string} [logger]
 * @property {Record<string, unknown>} [details]
 *
 * @typedef {object} ChunkData
 * @property {string} stream
 * @property {number} index
 * @property {any} chunk
 * @property {boolean} [closed] No more follows.
 * @property {boolean} [truncated]
 *
 * @typedef {object} ResultData
 * @property {any} result
 * @property {boolean} [truncated]
 *
 * @typedef {object} CompletedData
 * @property {"completed"} status
 * @property {number} [duration] Seconds.
 * @property {number} [attempt]
 * @property {boolean} [ignored] The task raised `Ignore`.
 *
 * @typedef {object} ErrorData
 * @property {string} error
 * @property {string} error_type
 * @property {"error" | "cancelled"} [status]
 * @property {number} [duration] Seconds.
 * @property {number} [attempt]
 * @property {Record<string, unknown>} [details]
 *
 * @typedef {object} DataByType The data of each type of event.
 * @property {StatusData} status
 * @property {ProgressData} progress
 * @property {LogData} log
 * @property {ChunkData} chunk
 * @property {ResultData} result
 * @property {CompletedData} completed
 * @property {ErrorData} error
 * @property {Record<string, any>} snapshot
 *
 * @typedef {keyof DataByType} EventType
 */

/**
 * An event of one type.
 *
 * @template {EventType} Type
 * @typedef {object} EventOf
 * @property {Type} event_type
 * @property {string} operation_id
 * @property {number} timestamp Epoch seconds, taken where it happened.
 * @property {DataByType[Type]} data
 * @property {string} [event_id] The position in the log.
 * @property {string} [run]
 * @property {Operation} [operation] With `snapshot`: the snapshot.
 * @property {number | null} [missed] With `snapshot`: the number of events that were skipped.
 */

/** @typedef {{ [Type in EventType]: EventOf<Type> }[EventType]} ProgressEvent An event of any type. */

export {};
