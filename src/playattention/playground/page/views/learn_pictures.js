/** What a file gave beside what is right: two pictures on one scale, and their difference. */

import { measure, scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { Heatmap } from "../heatmap.js";
import { full, short, sizes } from "../numbers.js";
import { sharedScale } from "./compare.js";

const NUMBERS = { NaN, inf: Infinity, "-inf": -Infinity };
const ROUNDING = 1e-9; // of the largest number: less than this shows no colour
const WRITTEN = 8; // columns up to which the numbers stand in their cells

/** Three maps, or words. */
export class Pictures {
  constructor() {
    this.maps = ["yours", "right", "yours − right"].map((name) => this.#map(name));
    this.told = h("p", { class: "hint" });
    this.words = h("dl", { class: "message" });
    this.element = h("div", { class: "lesson-pictures", hidden: true }, this.told, h("div", { class: "lesson-maps" }, this.maps.map(({ element }) => element)), this.words);
  }

  /**
   * Show what a check found.
   * @param {Object|null} verdict Of /api/exercises/NAME; null: nothing to show.
   */
  show(verdict) {
    const key = JSON.stringify([verdict?.got, verdict?.wanted, verdict?.place]);
    if (key === this.key) return;
    this.key = key;
    const pair = [verdict?.got, verdict?.wanted];
    this.element.hidden = pair.some((one) => !one);
    const drawn = pair.every((one) => one?.kind === "tensor" && one.rows[0]?.length);
    fill(this.words, !drawn && !this.element.hidden && pair.map((one, at) => h("div", {}, h("dt", {}, this.maps[at].name), h("dd", {}, one.text || sizes(one.shape)))));
    for (const { element } of this.maps) element.hidden = !drawn;
    this.told.hidden = !drawn;
    if (drawn) this.#draw(...pair.map(matrix), verdict.place);
  }

  /** Draw once more: the theme has changed. */
  repaint() {
    for (const { heatmap } of this.maps) heatmap.repaint();
  }

  #draw(got, wanted, place) {
    const alike = String(got.shape) === String(wanted.shape);
    const change = alike && { ...got, data: got.data.map((one, at) => (Object.is(one, wanted.data[at]) || one === wanted.data[at] ? 0 : one - wanted.data[at])) };
    this.maps[2].element.hidden = !alike;
    fill(this.told, alike ? place.length ? ["The first number that differs is at ", h("code", {}, `[${place.join(", ")}]`), "."] : "" : "Their shapes differ.", got.cut || wanted.cut ? " Of each dimension, the first 64 are drawn." : "");
    const scale = sharedScale(got, wanted);
    const least = ROUNDING * Math.max(-scale.low, scale.high);
    const { low, high } = measure(change ? change.data : []);
    const apart = scaleOf(change ? change.data : [], "diverging", { low: Math.min(low, -least), high: Math.max(high, least) });
    [got, wanted, change].forEach((one, at) => one && this.#paint(this.maps[at], one, at < 2 ? scale : apart, place, alike && [wanted, got][at]));
  }

  #paint({ name, title, heatmap }, one, scale, place, beside) {
    const { data, rows, columns, shape, index } = one;
    const where = (row, column) => [...index, ...[row, column].slice(-Math.min(2, shape.length) || 2)].slice(0, shape.length);
    const last = shape.length - 1;
    const part = index.length ? `, [${index.join(", ")}, :, :] of it` : "";
    fill(title, name, " ", h("small", { class: "hint" }, `${sizes(shape)}${part}`));
    const small = columns <= WRITTEN && rows <= 2 * WRITTEN;
    heatmap.show({
      data,
      rows,
      columns,
      scale,
      rowAxis: last > 0 ? { title: `dimension ${last - 1}` } : { title: "one row", labels: [""] },
      columnAxis: { title: `dimension ${Math.max(0, last)}` },
      selected: place.length === shape.length && place.length ? [place.at(-2) ?? 0, place.at(-1)] : null,
      label: `${name}: ${sizes(shape)}${part}`,
      describe: (row, column, number) => {
        const other = beside && [beside === one ? "" : name === "yours" ? "right is " : "yours is ", exact(beside.data[row * columns + column]), ", "];
        return [`[${where(row, column).join(", ")}]: `, other, `${name} = `, exact(number)];
      },
      ...(small && { least: { width: 52, height: 22 }, text: (row, column) => written(data[row * columns + column]) }),
    });
  }

  #map(name) {
    const title = h("h3", {});
    const heatmap = new Heatmap({ height: 320, hint: "Point at a cell.", onHover: (cell) => this.maps.forEach((one) => one.name === name || one.heatmap.highlight(...(cell ?? [null, null]))) });
    return { name, title, heatmap, element: h("section", { class: "lesson-map", dataset: { name } }, title, heatmap.element) };
  }
}

function written(number) {
  return Number.isNaN(number) ? "NaN" : short(number);
}

/** A number with all its digits. */
function exact(number) {
  return h("data", { value: number, class: "number" }, full(number));
}

function matrix({ rows, shape, index }) {
  const data = Float64Array.from(rows.flat(), (one) => NUMBERS[one] ?? Number(one));
  return { data, rows: rows.length, columns: rows[0].length, shape, index, cut: shape.slice(-2).some((size) => size > 64) };
}
