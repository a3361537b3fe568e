/**
 * A matrix to look into: a canvas, never a node for each cell. The pointer or the arrow keys move
 * over its cells, a click or Enter opens one; a legend tells what the colours stand for.
 */

import { announce, fill, h } from "./dom.js";
import { layout, paint } from "./heatmap_paint.js";
import { legend } from "./legend.js";
import { short } from "./numbers.js";
import { saveButtons } from "./save.js";

const PAGE = 10;
let made = 0;

/** One matrix. */
export class Heatmap {
  #picture = null;
  #place = null;
  #cursor = [0, 0];
  #selected = null;
  #marks = {};
  #told;

  /**
   * @param {Object} told
   * @param {function(number, number)} [told.onOpen] Called with row and column of what is opened.
   * @param {function(number[]|null)} [told.onHover] Called with the cell that is pointed at.
   * @param {number} [told.height] Room for the rows in pixels; default 460.
   * @param {string} [told.hint] What is told while no cell is pointed at.
   */
  constructor(told = {}) {
    this.#told = { height: 460, hint: "Point at a cell; a click opens its arithmetic.", ...told };
    this.#build();
    new ResizeObserver(() => this.#fit()).observe(this.scroll);
  }

  /**
   * Show a matrix.
   * @param {import("./heatmap_paint.js").Picture & {label: string, selected?: number[]|null,
   *     describe?: function(number, number, number): string}} picture `label` names it; `describe`
   *     tells a cell in words.
   */
  show(picture) {
    this.#picture = picture;
    const { rows, columns } = picture;
    const told = { label: picture.label, rowcount: rows, colcount: columns };
    for (const [name, value] of Object.entries(told)) this.grid.setAttribute(`aria-${name}`, value);
    fill(this.caption, `↓ ${picture.rowAxis.title}  → ${picture.columnAxis.title}`);
    fill(this.legend, legend(picture.scale));
    this.#cursor = [Math.min(this.#cursor[0], rows - 1), Math.min(this.#cursor[1], columns - 1)];
    this.#selected = inside(picture.selected, picture) ? picture.selected : null;
    if (this.#selected) this.#cursor = [...this.#selected];
    this.#fit(true);
    const focused = document.activeElement === this.grid;
    this.#tell(focused ? this.#cursor : this.#selected);
    this.#nameCell(focused ? this.readout.textContent : "");
    if (this.#selected) this.#reveal(this.#selected);
  }

  /** Tell who does not see it which cell the cursor is at. */
  #nameCell(words, [row, column] = this.#cursor) {
    this.row.setAttribute("aria-rowindex", row + 1);
    this.cell.setAttribute("aria-colindex", column + 1);
    this.cell.textContent = words;
  }

  /** Draw once more: the theme has changed. */
  repaint() {
    if (!this.#picture) return;
    fill(this.legend, legend(this.#picture.scale));
    this.#fit(true);
  }

  /**
   * Light up a row, a column, or where they cross.
   * @param {number|null} row
   * @param {number|null} column
   */
  highlight(row, column) {
    if (!this.#place) return;
    this.#band("row", row, null);
    this.#band("column", null, column);
    const both = row !== null && column !== null;
    this.#mark("hover", both && inside([row, column], this.#picture) ? [row, column] : null);
  }

  #build() {
    const id = `cell-${++made}`;
    const names = ["row", "column", "hover", "selected", "cursor"];
    for (const name of names) this.#marks[name] = h("div", { class: `mark mark-${name}`, hidden: true });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.cell = h("div", { role: "gridcell", id });
    this.row = h("div", { role: "row", class: "unseen" }, this.cell);
    this.grid = h(
      "div",
      {
        class: "heatmap-grid",
        role: "grid",
        tabindex: 0,
        "aria-activedescendant": id,
        onpointermove: (event) => this.#hover(event),
        onpointerleave: () => this.#leave(),
        onclick: (event) => this.#click(event),
        onkeydown: (event) => this.#key(event),
        onfocus: () => this.#moved(),
        onblur: () => (this.#mark("cursor", null), this.#leave()),
      },
      this.canvas,
      Object.values(this.#marks),
      this.row,
    );
    this.readout = h("output", { class: "readout", "aria-live": "off" });
    this.legend = h("div", { class: "heatmap-legend" });
    this.scroll = h("div", { class: "heatmap-scroll" }, this.grid);
    this.caption = h("p", { class: "hint" });
    const head = h("div", { class: "heatmap-head" }, this.readout, this.legend);
    const saves = saveButtons(() => ({ canvas: this.canvas, picture: this.#picture, place: this.#place }));
    const foot = h("div", { class: "heatmap-foot" }, this.caption, saves);
    this.element = h("figure", { class: "heatmap" }, head, this.scroll, foot);
  }

  #fit(again = false) {
    const width = this.scroll.clientWidth;
    if (!this.#picture || !width) return;
    const place = layout(this.#picture, { width, height: this.#told.height });
    const same = JSON.stringify(place) === JSON.stringify(this.#place);
    this.#place = place;
    if (!same || again) paint(this.canvas, this.#picture, place);
    this.#mark("selected", this.#selected);
    if (document.activeElement === this.grid) this.#mark("cursor", this.#cursor);
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const { left, top, cellWidth, cellHeight } = this.#place;
    const row = Math.floor((event.clientY - box.top - top) / cellHeight);
    const column = Math.floor((event.clientX - box.left - left) / cellWidth);
    return inside([row, column], this.#picture) ? [row, column] : null;
  }

  #hover(event) {
    if (!this.#place) return;
    const cell = this.#at(event);
    this.highlight(...(cell ?? [null, null]));
    this.#tell(cell ?? this.#selected);
    this.#told.onHover?.(cell);
  }

  #leave() {
    this.highlight(null, null);
    this.#tell(this.#selected);
    this.#told.onHover?.(null);
  }

  #click(event) {
    const cell = this.#place && this.#at(event);
    if (!cell) return;
    this.#open((this.#cursor = cell));
  }

  #open(cell) {
    this.#selected = cell;
    this.#mark("selected", cell);
    this.#told.onOpen?.(...cell);
  }

  #key(event) {
    if (!this.#picture || event.altKey || event.metaKey) return;
    const { rows, columns } = this.#picture;
    const [row, column] = this.#cursor;
    const far = event.ctrlKey;
    const next = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - PAGE, column],
      PageDown: [row + PAGE, column],
      Home: [far ? 0 : row, 0],
      End: [far ? rows - 1 : row, columns - 1],
    }[event.key];
    if (next) {
      this.#cursor = [clamp(next[0], rows), clamp(next[1], columns)];
      this.#moved();
    } else if (event.key === "Enter" || event.key === " ") this.#open(this.#cursor);
    else return;
    event.preventDefault();
  }

  #moved() {
    if (!this.#place) return;
    this.#mark("cursor", this.#cursor);
    this.#tell(this.#cursor);
    this.#nameCell(this.readout.textContent);
    announce(this.readout.textContent);
    this.#told.onHover?.(this.#cursor);
    this.#reveal(this.#cursor);
  }

  /** Scroll to a cell, inside of the picture alone. */
  #reveal([row, column]) {
    if (!this.#place) return;
    const { left, top, cellWidth, cellHeight } = this.#place;
    const [x, y] = [left + column * cellWidth, top + row * cellHeight];
    const view = this.scroll;
    const [right, bottom] = [view.scrollLeft + view.clientWidth, view.scrollTop + view.clientHeight];
    if (x < view.scrollLeft + left || x + cellWidth > right) view.scrollLeft = x - view.clientWidth / 2;
    if (y < view.scrollTop + top || y + cellHeight > bottom) view.scrollTop = y - view.clientHeight / 2;
  }

  #tell(cell) {
    const { data, columns, describe } = this.#picture;
    if (!cell) return fill(this.readout, this.#told.hint);
    const number = data[cell[0] * columns + cell[1]];
    const words = describe ? describe(...cell, number) : `${cell.join(", ")} = ${short(number)}`;
    fill(this.readout, words);
  }

  #mark(name, cell) {
    const mark = this.#marks[name];
    mark.hidden = !cell;
    if (!cell) return;
    const { left, top, cellWidth, cellHeight } = this.#place;
    box(mark, left + cell[1] * cellWidth, top + cell[0] * cellHeight, cellWidth, cellHeight);
  }

  #band(name, row, column) {
    const mark = this.#marks[name];
    mark.hidden = row === null && column === null;
    if (mark.hidden) return;
    const { left, top, cellWidth, cellHeight } = this.#place;
    const { rows, columns } = this.#picture;
    if (row !== null) box(mark, left, top + row * cellHeight, columns * cellWidth, cellHeight);
    else box(mark, left + column * cellWidth, top, cellWidth, rows * cellHeight);
  }
}

function box(mark, x, y, width, height) {
  mark.style.transform = `translate(${x}px, ${y}px)`;
  mark.style.width = `${width}px`;
  mark.style.height = `${height}px`;
}

function inside(cell, { rows, columns }) {
  return Boolean(cell) && cell[0] >= 0 && cell[1] >= 0 && cell[0] < rows && cell[1] < columns;
}

function clamp(place, size) {
  return Math.max(0, Math.min(size - 1, place));
}
