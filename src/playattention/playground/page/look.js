/** One look into a model: a run, a checkpoint, a text, a change; and how its values are shown. */

import { json, tensor, tensors } from "./api.js";
import { keyOf, visible } from "./names.js";
import { nest } from "./structure.js";

/** The most columns of a matrix that are shown at once. */
export const MOST_COLUMNS = 1024;

const SYMBOLS = {
  B: "the texts",
  T: "the tokens",
  S: "the tokens looked at",
  C: "channels",
  D: "a head's channels",
  H: "heads",
  V: "the vocabulary",
};

const looks = new WeakMap(); // answer -> Look: the same again where nothing else is looked at

/**
 * Look into a model.
 * @param {Object} state What is selected.
 * @param {AbortSignal} signal Gives up.
 * @returns {Promise<Look>}
 */
export async function look({ run, step, text, change }, signal) {
  const answer = await json("look", { run, step, text, change }, { signal });
  if (!looks.has(answer)) looks.set(answer, new Look(answer));
  return looks.get(answer);
}

/** What a look saw; wraps the answer of /api/look. */
export class Look {
  #structure = null;
  #byKey;

  /** @param {Object} answer */
  constructor(answer) {
    Object.assign(this, answer);
    this.labels = answer.tokens.map(visible);
    this.#byKey = new Map(answer.values.map((value) => [keyOf(value), value]));
  }

  /** @returns {{run: string, step: number, text: string, change: string}} To ask for more of it. */
  get query() {
    const { run, step, text, change } = this;
    return { run, step, text, change };
  }

  /** @returns {import("./structure.js").Structure} Its values as the modules nest. */
  get structure() {
    this.#structure ??= nest(this.values);
    return this.#structure;
  }

  /**
   * Return a value.
   * @param {string|undefined} key As the URL has it: module:name:occurrence.
   * @returns {Object|undefined}
   */
  value(key) {
    return this.#byKey.get(key);
  }

  /**
   * Return which of the first dimensions are fixed for a matrix of a value: its text, its head.
   * @param {Object} value
   * @param {number} head The one that is selected.
   * @returns {number[]}
   */
  fixed(value, head) {
    return value.shape.slice(0, Math.max(0, value.shape.length - 2)).map((size, dimension) => {
      return this.isHead(value, dimension) ? Math.min(head, size - 1) : 0;
    });
  }

  /**
   * Tell whether a dimension counts heads.
   * @param {Object} value
   * @param {number} dimension
   * @returns {boolean}
   */
  isHead(value, dimension) {
    if (value.symbols) return value.symbols[dimension] === "H";
    return value.shape.length === 4 && dimension === 1 && value.shape[1] === this.sizes.n_head;
  }

  /**
   * Return what a dimension of a value counts.
   * @param {Object} value
   * @param {number} dimension
   * @returns {{symbol: string|null, title: string, labels: string[]|null}}
   */
  axis(value, dimension) {
    const symbol = this.symbol(value, dimension);
    const known = symbol && SYMBOLS[symbol.replace(/^\d+/, "")];
    const title = symbol ? `${symbol}${known ? `, ${known}` : ""}` : "numbers";
    return { symbol, title, labels: symbol === "T" || symbol === "S" ? this.labels : null };
  }

  /**
   * Return the letter of a dimension; where the source tells none, by its size.
   * @param {Object} value
   * @param {number} dimension
   * @returns {string|null}
   */
  symbol(value, dimension) {
    if (value.symbols) return value.symbols[dimension];
    const { shape } = value;
    if (dimension === 0 && shape[0] === 1 && shape.length > 2) return "B";
    const size = shape[dimension];
    const last = shape.length - 1;
    if (dimension === last && size === this.sizes.vocab_size) return "V";
    if (size !== this.tokens.length || dimension < last - 1) return null;
    if (dimension === last) return last > 0 && shape[last - 1] === size ? "S" : null;
    return "T";
  }

  /**
   * Return the scores of the next token: the first value with a number for each token of the
   * vocabulary at each position.
   * @returns {Object|undefined}
   */
  get logits() {
    return this.values.find((value) => {
      const last = value.shape.length - 1;
      return last === 2 && this.symbol(value, 2) === "V" && this.symbol(value, 1) === "T";
    });
  }

  /**
   * Fetch a matrix of a value.
   * @param {Object} value
   * @param {number} head The one that is selected.
   * @param {AbortSignal} signal
   * @param {number} [start] The first column, where it has more than are shown at once.
   * @returns {Promise<{data: ArrayLike<number>, rows: number, columns: number, fixed: number[],
   *     start: number}>}
   */
  async matrix(value, head, signal, start = 0) {
    const fixed = this.fixed(value, head);
    const size = value.shape.at(-1) ?? 1;
    const end = Math.min(size, start + MOST_COLUMNS);
    const columns = size > MOST_COLUMNS ? `${start}:${end}` : null;
    const { module, name, occurrence } = value;
    const query = { ...this.query, name, occurrence, index: fixed.join(","), columns, module };
    const { data, shape } = await tensor("tensor", query, { signal });
    const [rows, wide] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
    return { data, rows, columns: wide, fixed, start };
  }

  /**
   * Fetch the whole matrices of several values at once.
   * @param {Object[]} values
   * @param {number} head The one that is selected.
   * @param {AbortSignal} signal
   * @returns {Promise<{data: Float32Array, rows: number, columns: number}[]>}
   */
  async matrices(values, head, signal) {
    const value = values.map((one) => `${keyOf(one)}:${this.fixed(one, head).join(",")}`);
    const found = await tensors("tensors", { ...this.query, value }, { signal });
    return found.map(({ data, shape }) => ({ data, rows: shape.at(-2) ?? 1, columns: shape.at(-1) ?? 1 }));
  }

  /**
   * Return a value's axes as a matrix has them.
   * @param {Object} value
   * @param {number} [start] The first column.
   * @param {AbortSignal} [signal]
   * @returns {Promise<{rowAxis: Object, columnAxis: Object}>}
   */
  async axes(value, start = 0, signal = undefined) {
    const last = value.shape.length - 1;
    const rowAxis = last > 0 ? this.axis(value, last - 1) : { title: "the only row", labels: [""] };
    const columnAxis = last >= 0 ? this.axis(value, last) : { title: "one number", labels: [""] };
    if (columnAxis.symbol === "V") columnAxis.labels = await this.vocabulary(start, signal);
    return { rowAxis, columnAxis: { ...columnAxis, start } };
  }

  /**
   * Return how tokens of the vocabulary are shown.
   * @param {number} start The first one's id.
   * @param {AbortSignal} [signal]
   * @returns {Promise<string[]>} At most MOST_COLUMNS.
   */
  async vocabulary(start, signal) {
    const query = { run: this.run, start, count: MOST_COLUMNS };
    const { tokens } = await json("vocabulary", query, { signal });
    return tokens.map((text) => visible({ text, bytes: [] }));
  }
}
