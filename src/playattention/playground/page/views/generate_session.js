/** A text that grows: one token after another, each with how it came to be drawn. */

import { post } from "../api.js";

/** How many tokens are told one by one; the others come as a sum. */
export const CANDIDATES = 20;

/**
 * @typedef {Object} Settings
 * @property {number} temperature
 * @property {number|null} top_k
 * @property {number|null} top_p
 * @property {number} seed
 */

/** What follows from a prompt and settings; the same of both gives the same text. */
export class Session {
  #asked = [];
  #controller = new AbortController();

  /**
   * @param {{run: string, step: number, change: string}} model
   * @param {string} prompt
   * @param {Settings} settings
   */
  constructor(model, prompt, settings) {
    Object.assign(this, { model, prompt, settings });
    /** What makes it another one. */
    this.key = keyOf(model, prompt, settings);
    /** The answers so far; the last is of the token to come, not drawn for the reader yet. */
    this.answers = [];
  }

  /**
   * Return how a token is drawn, after those before it.
   * @param {number} place Since the prompt, from 0.
   * @returns {Promise<Object>} The answer of /api/generate.
   */
  answer(place) {
    this.#asked[place] ??= this.#ask(place);
    return this.#asked[place];
  }

  /** Give up what is under way. */
  end() {
    this.#controller.abort(new DOMException("outdated", "AbortError"));
  }

  /** @returns {number} How many tokens the prompt has; known from the first answer on. */
  get promptSize() {
    return this.answers.length ? this.answers[0].ids.length - 1 : 0;
  }

  async #ask(place) {
    const before = place ? await this.answer(place - 1) : null;
    const from = before ? { ids: before.ids } : { text: this.prompt };
    const body = { ...this.model, ...this.settings, ...from, draw: place, candidates: CANDIDATES };
    this.answers[place] = await post("generate", body, { signal: this.#controller.signal });
    return this.answers[place];
  }
}

/**
 * Return what makes a session another one.
 * @param {Object} model
 * @param {string} prompt
 * @param {Settings} settings
 * @returns {string}
 */
export function keyOf(model, prompt, settings) {
  return JSON.stringify([model, prompt, settings]);
}

/**
 * Return a part of the text that fits the model, with a token of it.
 * @param {string[]} words All tokens as text.
 * @param {number} place Which one has to be in it.
 * @param {number} most How many fit.
 * @returns {{text: string, pos: number}}
 */
export function cutAround(words, place, most) {
  const start = Math.max(0, Math.min(place, words.length - most));
  return { text: words.slice(start, start + most).join(""), pos: place - start };
}
