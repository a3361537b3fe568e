/** The logit lens: what the model would say if it ended after each of its blocks. */

import { json } from "../api.js";
import { scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { Heatmap } from "../heatmap.js";
import { visible } from "../names.js";
import { data } from "../numbers.js";
import * as state from "../state.js";

const CANDIDATES = 5;
const MOST = 256; // positions shown at once

/** The grid: a row for each stage, a column for each position. */
export class LensGrid {
  #rows = [];
  #first = 0;

  /** @param {import("./index.js").Context} context */
  constructor(context) {
    this.kind = h(
      "select",
      { onchange: () => this.#draw() },
      h("option", { value: "top" }, "the likeliest token"),
      h("option", { value: "next" }, "the true next token"),
    );
    this.heatmap = new Heatmap({
      height: 600,
      hint: "Point at a cell; a click selects its position.",
      onOpen: (row, column) => state.set({ pos: column + this.#first, stage: this.#stage(row), token: null }, { push: false }),
      onHover: (cell) => context.hover({ row: cell && cell[1] + this.#first, column: null, from: "lens" }),
    });
    context.onHover(({ row, from }) => from !== "lens" && this.heatmap.highlight(null, row === null ? null : row - this.#first));
    this.told = h("div", { class: "lens-told" });
    const head = h("div", { class: "section-head" }, h("h2", {}, "Logit lens"), h("label", { class: "field" }, h("span", { class: "field-name" }, "Show"), this.kind));
    const hint = h("p", { class: "hint" }, "Each stage of the stream through the final norm and the head: the next token if the model ended there.");
    this.element = h("div", { class: "lens" }, head, hint, this.heatmap.element, this.told);
  }

  /**
   * Show the stages of a look.
   * @param {import("./index.js").Context} context
   */
  async show(context) {
    const { look, signal } = context;
    let found;
    try {
      found = await json("lens", { ...look.query, k: CANDIDATES }, { signal });
    } catch (error) {
      if (signal.aborted) return;
      this.heatmap.element.hidden = true;
      fill(this.told, h("p", { class: "hint" }, `No logit lens: ${error.message}`));
      return;
    }
    if (signal.aborted) return;
    this.heatmap.element.hidden = false;
    Object.assign(this, { found, context });
    this.#draw();
  }

  /** The stream flows upwards: the last stage is the first row. */
  #stage(row) {
    return this.found.stages.length - 1 - row;
  }

  #draw() {
    const { look, state: chosen } = this.context;
    const { stages, positions } = this.found;
    const size = look.tokens.length;
    this.#first = Math.max(0, Math.min(chosen.pos - MOST / 2, size - MOST));
    const columns = Math.min(MOST, size);
    this.#rows = stages.map((_, row) => positions[this.#stage(row)].slice(this.#first, this.#first + columns));
    const next = this.kind.value === "next";
    const numbers = this.#rows.flat().map((cell) => (next ? (cell.next?.probability ?? NaN) : cell.top[0].probability));
    const words = (row, column) => (next ? String(this.#rows[row][column].next?.rank ?? "") : visible(this.#rows[row][column].top[0]));
    const stage = Math.min(Number(chosen.stage ?? stages.length - 1), stages.length - 1);
    this.heatmap.show({
      data: Float32Array.from(numbers),
      rows: stages.length,
      columns,
      scale: scaleOf(numbers, "weights", { low: 0 }),
      rowAxis: { title: "after which stage", labels: [...stages].reverse() },
      columnAxis: { title: next ? "position; in each cell the rank of the true next token" : "position", labels: look.labels.slice(this.#first, this.#first + columns), start: this.#first },
      least: { width: next ? 30 : this.#width(words, columns), height: 22 },
      text: words,
      label: `Logit lens: ${stages.length} stages, ${columns} positions`,
      selected: [stages.length - 1 - stage, chosen.pos - this.#first],
      describe: (row, column) => this.#describe(row, column),
    });
    this.#detail(stage, chosen.pos);
  }

  #width(words, columns) {
    const longest = Math.max(...this.#rows.map((_, row) => Math.max(...Array.from({ length: columns }, (_, column) => words(row, column).length))));
    return Math.max(22, Math.min(64, 7 * longest + 6));
  }

  #describe(row, column) {
    const { top, next } = this.#rows[row][column];
    const stage = this.found.stages[this.#stage(row)];
    const best = [h("code", {}, visible(top[0])), " ", data(top[0].probability)];
    const truth = next && [" · true ", h("code", {}, visible(next)), ` rank ${next.rank}, `, data(next.probability)];
    return [`after ${stage}, position ${column + this.#first}: `, best, truth];
  }

  #detail(stage, pos) {
    const { top, next } = this.found.positions[stage][pos];
    const words = top.map((one) => [h("code", {}, visible(one)), " ", data(one.probability), "   "]);
    const truth = next ? ["; the true one, ", h("code", {}, visible(next)), `, has rank ${next.rank} and `, data(next.probability)] : "";
    fill(this.told, h("p", {}, h("b", {}, `After ${this.found.stages[stage]}, position ${pos}: `), words, truth));
  }
}
