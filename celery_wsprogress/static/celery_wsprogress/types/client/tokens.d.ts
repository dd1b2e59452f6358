/**
 * Tokens: who gives them, and when a new one is needed.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */
import { Backoff } from "./backoff.js";
import type { Loss } from "./connection.js";
import type { Deferred } from "./handle.js";
export type Credentials = {
    token?: string;
    getToken?: GetToken;
};
export type GetToken = () => string | null | undefined | Promise<string | null | undefined>;
/**
 * @typedef {{ token?: string, getToken?: GetToken }} Credentials
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */
/** One place that tokens come from, for all clients that have it. */
export declare class TokenSource {
    #private;
    canRenew: boolean;
    /** The line that knows its token. @type {object | null} */
    socket: object | null;
    /**
     * Whose it is: what each of them does when a token is not taken, and no other one comes.
     * @type {Set<(error: Error) => void>}
     */
    handlers: Set<(error: Error) => void>;
    /** Why it has no token now. @type {Loss | null} */
    lost: Loss | null;
    /** What some wait for until a line knows it. @type {Deferred} */
    ready: Deferred;
    backoff: Backoff;
    /** @param {Credentials} credentials */
    constructor({ token, getToken }: Credentials);
    /** @param {Error} error */
    reject(error: Error): void;
    /** @returns {Promise<string | null | undefined>} */
    get(): Promise<string | null | undefined>;
    /**
     * A line knows it.
     *
     * @param {object} socket
     */
    accept(socket: object): void;
    /**
     * Call when the token is about to expire.
     *
     * @param {number} left Seconds it holds.
     * @param {() => void} renew
     */
    renewAfter(left: number, renew: () => void): void;
    /**
     * There is no token now: ask again later.
     *
     * @param {unknown} error Why.
     * @param {() => void} call
     */
    retryAfter(error: unknown, call: () => void): void;
    /** Renew no more. */
    stop(): void;
}
