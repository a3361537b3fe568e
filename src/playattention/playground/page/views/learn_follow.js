/** The exercises, asked for again and again while the page is in sight. */

import { json } from "../api.js";

const EVERY = 600; // milliseconds

/** Who asks. */
export class Follow {
  #controller = new AbortController();
  #timer = null;
  #asked = 0;
  #one = null;
  #seen = () => document.hidden || this.ask();

  /**
   * @param {Object} told
   * @param {function(Object)} told.onList Called with each answer of /api/exercises.
   * @param {function(Object, Object|null)} told.onOne Called with the chosen exercise if there is
   *     something new about it, and with what was told before.
   * @param {function(string)} told.onProblem Called if there is no answer.
   */
  constructor(told) {
    this.told = told;
    /** Name of the chosen exercise; null: not known yet. */
    this.name = null;
    document.addEventListener("visibilitychange", this.#seen);
  }

  /**
   * Choose an exercise, and ask.
   * @param {string|undefined} name None: the one that was started last, else the next.
   */
  choose(name) {
    this.name = name ?? null;
    return this.ask();
  }

  /** Ask now, and from now on. */
  async ask() {
    clearTimeout(this.#timer);
    const [{ signal }, turn] = [this.#controller, ++this.#asked];
    const stale = () => signal.aborted || turn !== this.#asked;
    try {
      const list = await json("exercises", {}, { signal, keep: false });
      if (stale()) return;
      const { exercises } = list;
      this.name ??= (exercises.find(({ last }) => last) ?? exercises.find((one) => one.state !== "passed") ?? exercises[0]).name;
      this.told.onList(list);
      const known = exercises.find(({ name }) => name === this.name);
      if (!known) this.told.onProblem(`exercise ${this.name}: there is none; choose one of the list`);
      else if (known.name !== this.#one?.name || known.version !== this.#one.version) {
        const one = await json(`exercises/${known.name}`, {}, { signal, keep: false });
        if (!stale()) this.take(one);
      }
    } catch (error) {
      if (!stale()) this.told.onProblem(error.message);
    }
    if (!stale() && !document.hidden) this.#timer = setTimeout(() => this.ask(), EVERY);
  }

  /**
   * Tell of an exercise.
   * @param {Object} one Of /api/exercises/NAME.
   */
  take(one) {
    const before = this.#one;
    if (one.name !== this.name) return;
    this.#one = one;
    this.told.onOne(one, before);
  }

  /** Ask no more. */
  end() {
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#seen);
    this.#controller.abort(new DOMException("outdated", "AbortError"));
  }
}
