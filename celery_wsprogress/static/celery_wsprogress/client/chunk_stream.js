/**
 * A stream of a task: the chunks of a partial result, as they come. `handle.stream(name)` makes it.
 */

/** @import { ProgressEvent } from "./protocol.js" */

/** The chunks of one stream in the current run. Each iteration begins at the first one. */
export class ChunkStream {
  /** Whether chunks are missing: the beginning is not held any more, or the worker dropped some. */
  missing = false;

  #events;
  #name;

  /**
   * @param {AsyncIterable<ProgressEvent>} events Those of the operation.
   * @param {string} name
   */
  constructor(events, name) {
    this.#events = events;
    this.#name = name;
  }

  /**
   * Yield the chunks until the stream is closed, its run is over, or the operation has ended.
   *
   * @returns {AsyncGenerator<any, void, void>}
   */
  async *[Symbol.asyncIterator]() {
    let run;
    let due = 0;
    for await (const event of this.#events) {
      if (event.event_type !== "chunk" || event.data.stream !== this.#name) continue;
      const { index, chunk, closed } = event.data;
      run ??= event.run;
      // Another attempt begins anew.
      if (event.run !== run) return;
      if (index !== due) this.missing = true;
      due = index + 1;
      if (closed) return;
      yield chunk;
    }
  }

  /** The same chunks as a `ReadableStream`. @returns {ReadableStream<any>} */
  get readable() {
    const chunks = this[Symbol.asyncIterator]();
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return();
      },
    });
  }
}
