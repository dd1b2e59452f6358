/**
 * The figures of the sidecar, polled every 2 s while the page is visible.
 *
 * Runs in: a page.
 */

import { formatNumber } from "../../element/format.js";
import { found, make, mark, write } from "./dom.js";
import { delayQuantile, parseMetrics, counterRate } from "../model/prometheus_parser.js";
import { Plot } from "./plot.js";
import { Series } from "../model/series.js";
import { formatBytes, durationOf } from "../model/format.js";

/** @import { Metrics } from "../model/prometheus_parser.js" */
/** @import { Session } from "../session.js" */

/** Milliseconds between two polls. */
const POLL_INTERVAL = 2_000;

/** Number of figures in a plot: two minutes. */
const PLOT_LENGTH = 60;

/** The quantile of the delivery delay that is shown. */
const DELAY_QUANTILE = 0.95;

/** @typedef {{ at: number, stats: Metrics, metrics: Metrics }} Reading */

/**
 * @typedef {object} Figure
 * @property {string} name
 * @property {string} means What it says, for those who see it for the first time.
 * @property {(reading: Reading) => string} of
 * @property {(reading: Reading) => boolean} [worrying]
 */

/** @type {Figure[]} */
const SHOWN = [
  {
    name: "Clients",
    means: "Connections that are open now",
    of: ({ stats }) => formatNumber(stats.connected_clients),
  },
  {
    name: "Held",
    means: "Operations that the sidecar holds in memory",
    of: ({ stats }) => formatNumber(stats.held_operations),
  },
  {
    name: "Events",
    means: "Events that it has read since its start",
    of: ({ stats }) => formatNumber(stats.events_total),
  },
  {
    name: "Memory",
    means: "Memory that its process takes",
    of: ({ metrics }) => formatBytes(metrics.process_resident_memory_bytes ?? 0),
  },
  {
    name: "Gaps",
    means: "Batches of events that are missing in the log",
    of: ({ stats }) => formatNumber(stats.gaps_total),
    worrying: ({ stats }) => stats.gaps_total > 0,
  },
  {
    name: "Unreadable",
    means: "Messages that it could not read",
    of: ({ stats }) => formatNumber(stats.malformed_total),
    worrying: ({ stats }) => stats.malformed_total > 0,
  },
];

export class Statistics {
  #session;
  #events = new Series(PLOT_LENGTH);
  #delay = new Series(PLOT_LENGTH);
  #eventsPlot = new Plot("plot-events", (value) => formatNumber(value));
  #delayPlot = new Plot("plot-delay", durationOf);
  #figures = found("figures");
  /** @type {Reading | null} */
  #last = null;

  /** @param {() => Session} session Returns the current session. */
  constructor(session) {
    this.#session = session;
    const poll = () => this.#poll().finally(() => setTimeout(poll, POLL_INTERVAL));
    poll();
  }

  async #poll() {
    const { client, token } = this.#session();
    if (document.hidden || client.state !== "open") {
      this.#take(null);
      return;
    }
    try {
      const [stats, metrics] = await Promise.all([client.stats(), metricsOf(token)]);
      this.#take({ at: performance.now() / 1000, stats, metrics });
    } catch {
      // Not permitted, or the connection was lost meanwhile.
      this.#take(null);
    }
  }

  /** @param {Reading | null} reading */
  #take(reading) {
    const before = this.#last;
    this.#last = reading;
    if (reading && before) {
      const seconds = reading.at - before.at;
      this.#events.push(counterRate(before.stats.events_total, reading.stats.events_total, seconds));
      this.#delay.push(delayQuantile(before.metrics, reading.metrics, DELAY_QUANTILE));
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
      this.#figures.append(...SHOWN.map(makePair));
    }
    SHOWN.forEach(({ of, worrying }, index) => {
      const pair = this.#figures.children[index];
      write(/** @type {Element} */ (pair.querySelector("dd")), of(reading));
      mark(pair, "data-tone", worrying?.(reading) ? "warning" : null);
    });
  }
}

/**
 * Return a figure with its name. What it means is a title for the pointer, and for who has none a
 * second description that is not seen.
 *
 * @param {Figure} figure
 */
function makePair({ name, means }) {
  const unseen = make("dd", { class: "unseen" }, means);
  return make("div", { title: means }, make("dt", {}, name), make("dd"), unseen);
}

/**
 * Return the metrics; none if they are not available.
 *
 * @param {string} token
 * @returns {Promise<Metrics>}
 */
async function metricsOf(token) {
  /** @type {Record<string, string>} */
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(new URL("../../metrics", import.meta.url), { headers });
  return answer.ok ? parseMetrics(await answer.text()) : {};
}
