/** A value of the model as a picture: its axes, its colours, its words; a cell opens its arithmetic. */

import { fitting, scaleOf } from "./colours.js";
import { fill, h } from "./dom.js";
import { Heatmap } from "./heatmap.js";
import { MOST_COLUMNS } from "./look.js";
import { keyOf } from "./names.js";
import { data } from "./numbers.js";

/** One value at a time. */
export class Matrix {
  #context = null;
  #value = null;
  #shown = null;
  #start = 0;

  /** @param {{height?: number}} [told] Room for its rows in pixels. */
  constructor({ height } = {}) {
    this.heatmap = new Heatmap({
      ...(height && { height }),
      onOpen: (row, column) => this.#open(row, column),
      onHover: (cell) => this.#hover(cell),
    });
    this.pager = h("div", { class: "pager" });
    this.number = h("div", { class: "lone-number" });
    this.element = h("div", { class: "matrix" }, this.number, this.heatmap.element, this.pager);
  }

  /**
   * Show a value.
   * @param {Object} value Of the look.
   * @param {import("./views/index.js").Context} context
   */
  async show(value, context) {
    const { look, state, signal } = context;
    if (this.#value && keyOf(this.#value) !== keyOf(value)) this.#start = 0;
    const last = value.shape.at(-1) ?? 1;
    if (this.#start >= last) this.#start = 0;
    const found = await look.matrix(value, state.head, signal, this.#start);
    const axes = await look.axes(value, this.#start, signal);
    if (signal.aborted) return;
    this.#context = context;
    this.#value = value;
    this.#shown = { ...found, ...axes };
    if (!value.shape.length) return this.#showNumber(found.data[0]);
    this.number.hidden = true;
    this.heatmap.element.hidden = false;
    this.heatmap.show({ ...found, ...axes, ...this.#picture(found, axes) });
    this.#page(last);
  }

  /**
   * Light up positions.
   * @param {{row: number|null, column: number|null}} what
   */
  highlight({ row, column }) {
    if (!this.#shown) return;
    const { rowAxis, columnAxis } = this.#shown;
    const down = rowAxis.symbol === "T" ? row : null;
    const right = ["T", "S"].includes(columnAxis.symbol) ? column : null;
    this.heatmap.highlight(down, right);
  }

  #picture({ data: numbers, columns, rows, fixed }, { rowAxis, columnAxis }) {
    const value = this.#value;
    const square = columnAxis.symbol === "S" && rowAxis.symbol === "T";
    return {
      label: `${value.title}, ${rows} rows (${rowAxis.title}), ${columns} columns (${columnAxis.title})`,
      scale: scaleOf(numbers, fitting(numbers, columns)),
      square,
      selected: this.#selected(fixed, columns),
      describe: (row, column, number) => {
        const words = [word(rowAxis, row), word(columnAxis, column)].filter(Boolean);
        return [words.join(" · "), " = ", data(number)];
      },
    };
  }

  #selected(fixed, columns) {
    const { state } = this.#context;
    if (state.index === undefined || state.value !== keyOf(this.#value)) return null;
    const index = state.index.split(",").map(Number);
    if (fixed.some((number, place) => number !== index[place])) return null;
    const column = (index.at(-1) ?? 0) - this.#start;
    return column >= 0 && column < columns ? [index.length > 1 ? index.at(-2) : 0, column] : null;
  }

  #open(row, column) {
    const cell = [row, column + this.#start].slice(-this.#value.shape.length);
    this.#context.open(this.#value, [...this.#shown.fixed, ...cell]);
  }

  #hover(cell) {
    const { rowAxis, columnAxis } = this.#shown;
    const row = cell && rowAxis.symbol === "T" ? cell[0] : null;
    const column = cell && ["T", "S"].includes(columnAxis.symbol) ? cell[1] : null;
    this.#context.hover({ row, column, from: "matrix" });
  }

  #showNumber(number) {
    this.heatmap.element.hidden = true;
    this.number.hidden = false;
    fill(this.pager);
    const open = () => this.#context.open(this.#value, []);
    fill(this.number, data(number, "big"), " ", h("button", { type: "button", onclick: open }, "its arithmetic"));
  }

  #page(size) {
    if (size <= MOST_COLUMNS) return fill(this.pager);
    const go = (start) => {
      this.#start = start;
      this.show(this.#value, this.#context);
    };
    const end = Math.min(size, this.#start + MOST_COLUMNS);
    const button = (name, start, possible) =>
      h("button", { type: "button", disabled: !possible, onclick: () => go(start) }, name);
    fill(
      this.pager,
      button("←", this.#start - MOST_COLUMNS, this.#start > 0),
      ` columns ${this.#start} to ${end - 1} of ${size} `,
      button("→", this.#start + MOST_COLUMNS, end < size),
    );
  }
}

function word(axis, place) {
  if (!axis.symbol && axis.labels) return "";
  const number = (axis.start ?? 0) + place;
  return `${axis.symbol ?? ""} ${number}${axis.labels ? ` ‘${axis.labels[place]}’` : ""}`.trim();
}
