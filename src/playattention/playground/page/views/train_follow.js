/** A training as far as it is known, and asked for again while it runs. */

import { json } from "../api.js";

const EVERY = 300; // milliseconds
const RUNNING = ["starting", "running", "stopping"];

/**
 * Tell whether a training may still change.
 * @param {{state: string}} job
 * @returns {boolean}
 */
export function runs(job) {
  return RUNNING.includes(job.state);
}

/** One training. */
export class Follow {
  #controller = new AbortController();
  #since = 0;
  #timer = null;

  /**
   * @param {string} name
   * @param {function(Follow)} onNews Called with each answer.
   * @param {function(Error)} onProblem Called if there is none.
   */
  constructor(name, onNews, onProblem) {
    Object.assign(this, { name, onNews, onProblem });
    /** The last answer; null: none yet. */
    this.job = null;
    /** All rows of the log. */
    this.rows = [];
  }

  /** Ask now, and while the training runs. */
  async ask() {
    clearTimeout(this.#timer);
    const { signal } = this.#controller;
    try {
      const path = `jobs/${encodeURIComponent(this.name)}`;
      const job = await json(path, { since: this.#since }, { signal, keep: false });
      if (signal.aborted) return;
      if (job.reset) this.rows = [];
      this.rows.push(...job.rows);
      this.#since = job.since;
      this.job = job;
      this.onNews(this);
    } catch (error) {
      if (signal.aborted) return;
      this.onProblem(error);
      if (error.status >= 400 && error.status < 500) return; // it would not be otherwise later
    }
    if (!this.job || runs(this.job)) this.#timer = setTimeout(() => this.ask(), EVERY);
  }

  /** Ask no more. */
  end() {
    clearTimeout(this.#timer);
    this.#controller.abort(new DOMException("outdated", "AbortError"));
  }

  /**
   * Return the last number of a column that was measured.
   * @param {string} name
   * @returns {number|null}
   */
  last(name) {
    return this.rows.findLast((row) => row[name] !== null)?.[name] ?? null;
  }
}
