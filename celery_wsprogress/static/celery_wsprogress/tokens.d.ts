/**
 * Tokens: who gives them, and when a new one is needed.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */
export type GetToken = () => string | null | undefined | Promise<string | null | undefined>;
/**
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */
/** One place that tokens come from: of one client. */
export declare class TokenSource {
    #private;
    renews: boolean;
    onRefused: (error: Error) => void;
    /** The line that knows its token. @type {object | null} */
    presentedTo: object | null;
    /**
     * @param {{ token?: string, getToken?: GetToken }} from
     * @param {(error: Error) => void} onRefused Called when its token is not taken, and no other
     *   one comes.
     */
    constructor({ token, getToken }: {
        token?: string;
        getToken?: GetToken;
    }, onRefused: (error: Error) => void);
    /** @returns {Promise<string | null | undefined>} */
    get(): Promise<string | null | undefined>;
    /**
     * Call when the token is about to expire.
     *
     * @param {number} left Seconds it holds.
     * @param {() => void} renew
     */
    renewIn(left: number, renew: () => void): void;
    /** Renew no more. */
    stop(): void;
}
