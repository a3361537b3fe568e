/** One value twice, now and then, on one scale; how they differ; and where they differ most. */

import { fitting, measure, Scale, scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { Heatmap } from "../heatmap.js";
import { keyOf } from "../names.js";
import { data } from "../numbers.js";
import { cellWords, delta, largest, less, redraw, signed } from "./cells.js";

const MOST = 8; // cells that are listed
const HINT = "A click opens its arithmetic as it is now.";

/** Three maps and a list. */
export class Compare {
  #context = null;
  #shown = null;

  /** @param {...HTMLElement} beside What stands beside the list. */
  constructor(...beside) {
    this.maps = ["then", "now", "change"].map((kind) => this.#map(kind));
    this.list = h("div", { class: "biggest" });
    this.row = h("div", { class: "compare-maps" }, this.maps.map(({ element }) => element));
    this.lists = h("div", { class: "compare-lists" }, this.list, beside);
    this.element = h("div", { class: "compare" }, this.row, this.lists);
  }

  /**
   * Show a value twice, or once where there is nothing to compare it with.
   * @param {Object} value
   * @param {{now: Object, then: Object|null, axes: Object}} found As `bothMatrices` returns it.
   * @param {{now: string, then: string}} names What each is called.
   * @param {import("./index.js").Context} context
   */
  show(value, { now, then, axes: { rowAxis, columnAxis } }, names, context) {
    this.#context = context;
    const whole = value.shape.at(-1) ?? 1;
    const title = now.columns < whole ? `${columnAxis.title}, the first ${now.columns} of ${whole}` : columnAxis.title;
    const axes = { rowAxis, columnAxis: { ...columnAxis, title } };
    const change = then && less(now.data, then.data);
    this.#shown = { value, now, then, change, axes };
    const shared = then ? sharedScale(now, then) : scaleOf(now.data, fitting(now.data, now.columns));
    const [first, second, third] = this.maps;
    for (const map of [first, third]) map.element.hidden = !then;
    this.row.classList.toggle("alone", !then);
    this.#paint(second, names.now, now.data, shared);
    this.lists.hidden = !then;
    this.row.hidden = Boolean(then) && !value.shape.length; // one number: the list tells it
    if (!then) return;
    this.#paint(first, names.then, then.data, shared);
    this.#paint(third, `${names.now} − ${names.then}`, change, scaleOf(change, "diverging"));
    const { query } = context.look;
    redraw(this.list, [query, value.title, now.fixed, names, [...largest(change, MOST)]], () => this.#biggest(names));
  }

  /**
   * Light up positions.
   * @param {{row: number|null, column: number|null}} what
   */
  highlight({ row, column }) {
    if (!this.#shown) return;
    const { rowAxis, columnAxis } = this.#shown.axes;
    const down = rowAxis.symbol === "T" ? row : null;
    const right = ["T", "S"].includes(columnAxis.symbol) ? column : null;
    for (const { heatmap } of this.maps) heatmap.highlight(down, right);
  }

  #map(kind) {
    const title = h("h3", {});
    const heatmap = new Heatmap({
      height: 360,
      hint: HINT,
      onOpen: (row, column) => this.#open(row, column),
      onHover: (cell) => this.#hover(cell, kind),
    });
    const element = h("section", { class: "compare-map", dataset: { kind } }, title, heatmap.element);
    return { kind, element, heatmap, title };
  }

  #paint({ heatmap, title }, name, numbers, scale) {
    const { value, now, axes } = this.#shown;
    const { rows, columns } = now;
    fill(title, name);
    const square = axes.rowAxis.symbol === "T" && axes.columnAxis.symbol === "S";
    heatmap.show({
      data: numbers,
      rows,
      columns,
      scale,
      square,
      ...axes,
      label: `${name}: ${value.title}, ${rows} rows (${axes.rowAxis.title}), ${columns} columns (${axes.columnAxis.title})`,
      selected: this.#selected(),
      describe: (row, column) => this.#words(row, column),
    });
  }

  #words(row, column) {
    const { now, then, change, axes } = this.#shown;
    const at = row * now.columns + column;
    const words = [cellWords(axes, row, column), " = ", data(now.data[at])];
    if (then) words.push(", was ", data(then.data[at]), ": ", signed(change[at]));
    return words;
  }

  #selected() {
    const { state } = this.#context;
    const { value, now } = this.#shown;
    if (state.index === undefined || state.value !== keyOf(value)) return null;
    const index = state.index.split(",").map(Number);
    if (now.fixed.some((number, place) => number !== index[place])) return null;
    return [index.length > 1 ? index.at(-2) : 0, index.at(-1) ?? 0];
  }

  #biggest(names) {
    const { now, then, change, axes } = this.#shown;
    const places = largest(change, MOST);
    if (!places.length) return h("p", { class: "hint" }, "Not one number of this value differs. Values that do are listed beside: choose one of them.");
    const most = Math.abs(change[places[0]]);
    const rows = places.map((at) => {
      const [row, column] = [Math.floor(at / now.columns), at % now.columns];
      const words = cellWords(axes, row, column) || "the number";
      const open = h("button", { class: "link", type: "button", onclick: () => this.#open(row, column) }, words);
      return h("tr", {}, h("th", { scope: "row" }, open), number(data(then.data[at])), number(data(now.data[at])), number(signed(change[at])), h("td", { class: "bar-wide" }, delta(change[at], most)));
    });
    const columns = ["cell", names.then, names.now, "change"].map((name, at) => h("th", { scope: "col", class: at ? "right" : null }, name));
    const table = h("table", { class: "figures" }, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, rows));
    return [h("h3", {}, "Biggest changes of this value"), h("div", { class: "wide" }, table)];
  }

  #open(row, column) {
    const { value, now } = this.#shown;
    const cell = [row, column + now.start].slice(-value.shape.length);
    this.#context.open(value, value.shape.length ? [...now.fixed, ...cell] : []);
  }

  #hover(cell, from) {
    const { rowAxis, columnAxis } = this.#shown.axes;
    for (const { kind, heatmap } of this.maps) {
      if (kind !== from) heatmap.highlight(...(cell ?? [null, null]));
    }
    const row = cell && rowAxis.symbol === "T" ? cell[0] : null;
    const column = cell && ["T", "S"].includes(columnAxis.symbol) ? cell[1] : null;
    this.#context.hover({ row, column, from: "compare" });
  }
}

function number(content) {
  return h("td", { class: "right" }, content);
}

/**
 * Return one scale for both, so that the same colour is the same number.
 * @param {{data: ArrayLike<number>, columns: number}} now
 * @param {{data: ArrayLike<number>, columns: number}} then
 * @returns {Scale} Of colours.js.
 */
export function sharedScale(now, then) {
  const kinds = [now, then].map((one) => fitting(one.data, one.columns));
  const [one, other] = [now, then].map(({ data: numbers }) => measure(numbers));
  const kind = kinds[0] === kinds[1] ? kinds[0] : "diverging";
  const special = [...new Set([...one.special, ...other.special])];
  return new Scale(kind, Math.min(one.low, other.low), Math.max(one.high, other.high), special);
}
