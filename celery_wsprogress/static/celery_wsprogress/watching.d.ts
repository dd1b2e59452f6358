/**
 * Everything that is watched through one connection, whichever line it has: what the sidecar is
 * asked for, when somebody comes or goes and when there is a new line.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Line } from "./line.js";
import type { Frame, Operation, ProgressEvent } from "./protocol.js";
import type { Watcher } from "./subscriptions.js";
import type { TokenSource } from "./tokens.js";
export type Ask = (command: Frame, onReply: (reply: Frame) => void) => Promise<Frame>;
export declare class Watching {
    #private;
    /** @param {Ask} ask */
    constructor(ask: Ask);
    /**
     * Subscribe again, on a new line, to what was watched on the one before.
     *
     * @param {Line} line
     */
    resume(line: Line): Promise<void>;
    /**
     * Use a line on which everything is subscribed again.
     *
     * @param {Line} line
     * @param {(source: TokenSource) => Promise<void>} introduce Tells it a new token.
     */
    open(line: Line, introduce: (source: TokenSource) => Promise<void>): void;
    /** The line is gone. */
    lose(): void;
    /** Ask for what those are to see who came without a line, or without a token. */
    joinAll(): void;
    /** @param {ProgressEvent} event */
    take(event: ProgressEvent): void;
    /**
     * Let one more watch an id, or what a selector means.
     *
     * @param {Record<string, string>} fields What `subscribe` says.
     * @param {Watcher} watcher
     * @param {TokenSource} source Whose token grants it.
     * @param {number} limit Operations that are kept.
     * @param {number} [rate] Progress a second and operation, at the most.
     * @returns {{ operations: Map<string, Operation>, leave: () => void }}
     */
    subscribe(fields: Record<string, string>, watcher: Watcher, source: TokenSource, limit: number, rate?: number): {
        operations: Map<string, Operation>;
        leave: () => void;
    };
}
