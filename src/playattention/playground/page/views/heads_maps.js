/** All attention maps, small: a button each, in a row for each layer. */

import { fill, h, rest, roving } from "../dom.js";
import { thumbnail } from "../thumbnail.js";

const DOTS = 160; // of a map's side, at most

/** The small maps. */
export class Maps {
  #key = "";
  #buttons = [];
  #shown = null;
  #drawn = []; // the numbers and the colours that the pictures have
  #told;

  /**
   * @param {Object} told
   * @param {function(number, number)} told.onPick Called with the layer and the head chosen.
   * @param {function({layer: number, head: number, row: number, column: number}|null)} told.onHover
   */
  constructor(told) {
    this.#told = told;
    this.element = h("div", {
      class: "maps",
      role: "group",
      "aria-label": "Every head’s attention weights: a row for each layer",
      onpointermove: (event) => this.#hover(event),
      onpointerleave: () => told.onHover(null),
    });
    roving(this.element, ".map", { columns: () => this.#shown?.heads ?? 1 });
  }

  /**
   * Draw them.
   * @param {{layers: number, heads: number, rows: number, columns: number,
   *     mapOf: function(number, number): Float32Array, scale: Object}} shown
   * @param {{layer: number, head: number}} chosen
   */
  show(shown, chosen) {
    const { layers, heads, rows, columns } = shown;
    const key = [layers, heads, rows, columns].join();
    const drawn = [shown.mapOf(0, 0).buffer, shown.scale.pixels];
    const redraw = this.#key !== key || drawn.some((one, at) => one !== this.#drawn[at]);
    this.#drawn = drawn;
    if (this.#key !== key) this.#build(shown);
    this.#key = key;
    this.#shown = shown;
    for (const button of this.#buttons) {
      const { layer, head } = place(button);
      const own = layer === chosen.layer && head === chosen.head;
      button.setAttribute("aria-pressed", String(own));
      if (redraw) this.#draw(button, shown.mapOf(layer, head));
      if (own && !this.element.contains(document.activeElement)) rest(this.element, ".map", button);
    }
  }

  /**
   * Light up a row and a column in all maps.
   * @param {number|null} row
   * @param {number|null} column
   */
  highlight(row, column) {
    const { style } = this.element;
    style.setProperty("--row", row ?? -1);
    style.setProperty("--column", column ?? -1);
    this.element.classList.toggle("with-row", row !== null);
    this.element.classList.toggle("with-column", column !== null);
  }

  /**
   * Write what is known of heads below their maps.
   * @param {Map<string, string>} names "layer,head" to words.
   */
  name(names) {
    for (const button of this.#buttons) {
      const { layer, head } = place(button);
      const role = names.get(`${layer},${head}`) ?? "";
      button.lastChild.textContent = role;
      const told = role && `, ${role}`;
      button.setAttribute("aria-label", `layer ${layer}, head ${head}${told}`);
    }
  }

  #build({ layers, heads, rows, columns }) {
    this.element.style.setProperty("--heads", heads);
    this.element.style.setProperty("--tokens", columns);
    this.#buttons = [];
    const corner = h("span", { class: "map-label" });
    const top = Array.from({ length: heads }, (_, head) => h("span", { class: "map-label" }, `head ${head}`));
    const side = Math.min(DOTS, columns * Math.max(1, Math.floor(DOTS / columns)));
    const lines = Array.from({ length: layers }, (_, layer) => {
      const buttons = Array.from({ length: heads }, (_, head) => this.#button(layer, head, side, Math.round((side * rows) / columns)));
      this.#buttons.push(...buttons);
      return [h("span", { class: "map-label map-layer" }, `layer ${layer}`), buttons];
    });
    fill(this.element, corner, top, lines);
  }

  #button(layer, head, width, height) {
    const canvas = h("canvas", { width, height, "aria-hidden": "true" });
    return h(
      "button",
      {
        class: "map",
        type: "button",
        dataset: { layer, head },
        "aria-label": `layer ${layer}, head ${head}`,
        onclick: () => this.#told.onPick(layer, head),
      },
      h("span", { class: "map-picture" }, canvas),
      h("span", { class: "map-role" }),
    );
  }

  #draw(button, data) {
    const { rows, columns, scale } = this.#shown;
    thumbnail(button.querySelector("canvas"), { data, rows, columns }, scale);
  }

  #hover(event) {
    const button = event.target.closest(".map");
    if (!button || !this.#shown) return this.#told.onHover(null);
    const box = button.querySelector("canvas").getBoundingClientRect();
    const { rows, columns } = this.#shown;
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const inside = row >= 0 && column >= 0 && row < rows && column < columns;
    this.#told.onHover(inside ? { ...place(button), row, column } : null);
  }
}

function place({ dataset }) {
  return { layer: Number(dataset.layer), head: Number(dataset.head) };
}
