/** A matrix beside its gradient: of a value, whose cells open their arithmetic, or of a weight. */

import { tensor } from "../api.js";
import { scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { Heatmap } from "../heatmap.js";
import { MOST_COLUMNS } from "../look.js";
import { Matrix } from "../matrix.js";
import { data } from "../numbers.js";
import { cellWords, largest, problem } from "./cells.js";

/** A value and its gradient. */
export class ValueGradient {
  #shown = null;
  #context = null;

  constructor() {
    this.matrix = new Matrix({ height: 380 });
    this.heatmap = new Heatmap({
      height: 380,
      hint: "Point at a cell; a click opens the arithmetic of its value.",
      onOpen: (row, column) => this.#open(row, column),
      onHover: (cell) => this.matrix.heatmap.highlight(...(cell ?? [null, null])),
    });
    this.told = h("div", {});
    const value = h("section", { class: "side" }, h("h3", {}, "Value"), this.matrix.element);
    const back = h("section", { class: "side gradient-side" }, h("h3", {}, "Its gradient"), this.told, this.heatmap.element);
    this.element = h("div", { class: "sides" }, value, back);
  }

  /**
   * Show a value and its gradient.
   * @param {Object} value
   * @param {number|null} norm Of its gradient; null: it has none.
   * @param {import("./index.js").Context} context
   */
  async show(value, norm, context) {
    this.#context = context;
    await this.matrix.show(value, context);
    if (context.signal.aborted) return;
    this.heatmap.element.hidden = norm === null || !value.shape.length;
    if (norm === null) {
      fill(this.told, h("p", { class: "hint" }, value.dtype === "int32" ? "Whole numbers have no gradient." : "It has no gradient: the loss does not depend on it."));
      return;
    }
    await this.#gradient(value);
  }

  async #gradient(value) {
    const { look, state: chosen, signal } = this.#context;
    const { module, name, occurrence } = value;
    const fixed = look.fixed(value, chosen.head);
    const wide = (value.shape.at(-1) ?? 1) > MOST_COLUMNS;
    const columns = wide ? `0:${MOST_COLUMNS}` : null;
    const query = { ...look.query, module, name, occurrence, index: fixed.join(","), columns };
    const found = await tensor("gradient", query, { signal });
    const axes = await look.axes(value, 0, signal);
    if (signal.aborted) return;
    const [rows, size] = [found.shape.at(-2) ?? 1, found.shape.at(-1) ?? 1];
    this.#shown = { value, fixed, axes };
    if (!value.shape.length) return fill(this.told, h("p", { class: "lone-number" }, data(found.data[0], "big")));
    fill(this.told, wide && h("p", { class: "hint" }, `the first ${MOST_COLUMNS} columns`));
    this.heatmap.show({
      data: found.data,
      rows,
      columns: size,
      scale: scaleOf(found.data, "diverging"),
      square: axes.rowAxis.symbol === "T" && axes.columnAxis.symbol === "S",
      ...axes,
      label: `Gradient of the loss at ${value.title}, ${rows} rows (${axes.rowAxis.title}), ${size} columns (${axes.columnAxis.title})`,
      describe: (row, column, number) => [cellWords(axes, row, column), " gradient ", data(number)],
    });
  }

  #open(row, column) {
    const { value, fixed } = this.#shown;
    const cell = [row, column].slice(-value.shape.length);
    this.#context.open(value, value.shape.length ? [...fixed, ...cell] : []);
  }
}

const MOST_NUMBERS = 2 ** 20; // of a weight that is shown whole; of a larger one, a row

/** A weight and its gradient. */
export class WeightGradient {
  #shown = null;

  /** @param {function(number[])} onPick Called with a cell, its whole index. */
  constructor(onPick) {
    const told = {
      height: 260,
      hint: "Point at a cell; a click chooses it for the update below.",
      onOpen: (row, column) => onPick(this.#index(row, column)),
    };
    this.weight = new Heatmap({ ...told, onHover: (cell) => this.gradient.highlight(...(cell ?? [null, null])) });
    this.gradient = new Heatmap({ ...told, onHover: (cell) => this.weight.highlight(...(cell ?? [null, null])) });
    this.told = h("p", { class: "hint" });
    this.refused = h("div", {});
    const side = (title, heatmap) => h("section", { class: "side" }, h("h3", {}, title), heatmap.element);
    this.sides = h("div", { class: "sides" }, side("Weight", this.weight), side("Its gradient", this.gradient));
    this.element = h("div", {}, this.told, this.refused, this.sides);
  }

  /**
   * Show a weight and its gradient.
   * @param {{name: string, shape: number[], norm: number|null}} weight
   * @param {number[]|null} cell The chosen one; null: that of the largest gradient.
   * @param {import("./index.js").Context} context
   * @returns {Promise<number[]|null>} The cell that is chosen; null: it has no gradient.
   */
  async show(weight, cell, context) {
    const { look, signal } = context;
    const { name, shape } = weight;
    const whole = shape.reduce((product, size) => product * size, 1) <= MOST_NUMBERS;
    const fixed = whole ? [] : [cell?.[0] ?? 0];
    this.sides.hidden = weight.norm === null;
    fill(this.told, whole ? "" : `row ${fixed[0]} of ${shape[0]}: the whole is too large to be shown`);
    fill(this.refused);
    if (weight.norm === null) return fill(this.refused, h("p", { class: "hint" }, "The loss does not depend on this weight: it has no gradient and takes no step.")), null;
    const index = fixed.join(",");
    try {
      const [own, back] = await Promise.all([
        tensor("weight", { ...look.query, name, index }, { signal }),
        tensor("gradient", { ...look.query, weight: name, index }, { signal }),
      ]);
      if (signal.aborted) return null;
      return this.#draw(weight, own, back, fixed, cell);
    } catch (error) {
      if (signal.aborted) return null;
      this.sides.hidden = true;
      fill(this.refused, problem(error));
      return null;
    }
  }

  #draw({ name, shape }, own, back, fixed, cell) {
    const [rows, columns] = [own.shape.length > 1 ? own.shape.at(-2) : 1, own.shape.at(-1) ?? 1];
    this.#shown = { shape, fixed };
    const place = largest(back.data, 1)[0] ?? 0;
    const chosen = cell ?? this.#index(Math.floor(place / columns), place % columns);
    const at = chosen.slice(fixed.length);
    const selected = [at.length > 1 ? at[0] : 0, at.at(-1) ?? 0];
    const axis = (title) => ({ title });
    const axes = { rowAxis: rows > 1 ? axis("rows") : { title: "the only row", labels: [""] }, columnAxis: axis("columns") };
    const show = (heatmap, numbers, words) =>
      heatmap.show({
        data: numbers,
        rows,
        columns,
        ...axes,
        selected,
        scale: scaleOf(numbers, "diverging"),
        label: `${words} ${name}, ${rows} rows, ${columns} columns`,
        describe: (row, column, number) => [`[${this.#index(row, column).join(", ")}] = `, data(number)],
      });
    show(this.weight, own.data, "Weight");
    show(this.gradient, back.data, "Gradient of");
    return chosen;
  }

  #index(row, column) {
    const { shape, fixed } = this.#shown;
    const inner = shape.length - fixed.length;
    return [...fixed, ...[row, column].slice(2 - Math.min(2, inner))];
  }
}
