/**
 * Everything that is watched through one connection, whichever line it has: what the sidecar is
 * asked for, when somebody comes or goes and when there is a new line.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Line } from "./line.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { Watcher } from "./subscriptions.js";
import type { TokenSource } from "./tokens.js";
export declare class Watching {
    #private;
    /**
     * Use a line.
     *
     * @param {Line} line
     * @param {(source: TokenSource) => Promise<void>} present Tells it a new token.
     */
    open(line: Line, present: (source: TokenSource) => Promise<void>): void;
    /**
     * Subscribe again, on a new line, to what those watched on the one before who have this token.
     *
     * @param {Line} line
     * @param {TokenSource} source
     */
    resume(line: Line, source: TokenSource): Promise<void>;
    /**
     * Ask for what those are to see whose token the line knows now.
     *
     * @param {TokenSource} source
     */
    admit(source: TokenSource): void;
    /** The line is gone. */
    lose(): void;
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
