/**
 * The sidecar's figures, asked for every other second while somebody looks.
 *
 * Runs in: a page.
 */

import { numberOf } from "../wording.js";
import { found, make, mark, write } from "./dom.js";
import { delayOf, figuresIn, rateOf } from "./exposition.js";
import { Plot } from "./plot.js";
import { Series } from "./series.js";
import { sizeOf, spanOf } from "./telling.js";

/** @import { Figures } from "./exposition.js" */
/** @import { Session } from "./session.js" */

/** Milliseconds between two questions. */
const EVERY = 2_000;

/** Figures in a plot: of two minutes. */
const LENGTH = 60;

/** The part of what is delivered that the delay is of. */
const MOST = 0.95;

/** @typedef {{ at: number, stats: Figures, metrics: Figures }} Reading */

/** @type {[name: string, of: (reading: Reading) => string, worrying?: (reading: Reading) => boolean][]} */
const SHOWN = [
  ["Clients", ({ stats }) => numberOf(stats.connected_clients)],
  ["Held", ({ stats }) => numberOf(stats.held_operations)],
  ["Events", ({ stats }) => numberOf(stats.events_total)],
  ["Memory", ({ metrics }) => sizeOf(metrics.process_resident_memory_bytes ?? 0)],
  ["Gaps", ({ stats }) => numberOf(stats.gaps_total), ({ stats }) => stats.gaps_total > 0],
  ["Unreadable", ({ stats }) => numberOf(stats.malformed_total),
    ({ stats }) => stats.malformed_total > 0],
];

export class Statistics {
  #session;
  #events = new Series(LENGTH);
  #delay = new Series(LENGTH);
  #eventsPlot = new Plot("plot-events", (value) => numberOf(value));
  #delayPlot = new Plot("plot-delay", spanOf);
  #figures = found("figures");
  /** @type {Reading | null} */
  #last = null;

  /** @param {() => Session} session The one there is. */
  constructor(session) {
    this.#session = session;
    const look = () => this.#look().finally(() => setTimeout(look, EVERY));
    look();
  }

  async #look() {
    const { client, token } = this.#session();
    if (document.hidden || client.state !== "open") {
      this.#take(null);
      return;
    }
    try {
      const [stats, metrics] = await Promise.all([client.stats(), metricsOf(token)]);
      this.#take({ at: performance.now() / 1000, stats, metrics });
    } catch {
      // Whoever may not count, or has lost the connection meanwhile, sees no figures.
      this.#take(null);
    }
  }

  /** @param {Reading | null} reading */
  #take(reading) {
    const before = this.#last;
    this.#last = reading;
    if (reading && before) {
      const seconds = reading.at - before.at;
      this.#events.push(rateOf(before.stats.events_total, reading.stats.events_total, seconds));
      this.#delay.push(delayOf(before.metrics, reading.metrics, MOST));
    } else if (!reading && this.#events.last !== null) {
      this.#events.push(null);
      this.#delay.push(null);
    }
    if (document.hidden) return;
    this.#eventsPlot.paint(this.#events);
    this.#delayPlot.paint(this.#delay);
    if (reading) this.#paint(reading);
  }

  /** @param {Reading} reading */
  #paint(reading) {
    if (!this.#figures.childElementCount) {
      const pairs = SHOWN.map(([name]) => make("div", {}, make("dt", {}, name), make("dd")));
      this.#figures.append(...pairs);
    }
    SHOWN.forEach(([, of, worrying], index) => {
      const pair = this.#figures.children[index];
      write(/** @type {Element} */ (pair.lastElementChild), of(reading));
      mark(pair, "data-tone", worrying?.(reading) ? "warning" : null);
    });
  }
}

/**
 * What Prometheus would be told; nothing where that is not to be had.
 *
 * @param {string} token
 * @returns {Promise<Figures>}
 */
async function metricsOf(token) {
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(new URL("../metrics", import.meta.url), { headers });
  return answer.ok ? figuresIn(await answer.text()) : {};
}
