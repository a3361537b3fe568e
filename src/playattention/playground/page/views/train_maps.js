/** One head's map at each checkpoint of a training, side by side: how it forms. */

import { json, tensor } from "../api.js";
import { scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { visible } from "../names.js";
import { legend } from "../legend.js";
import { thumbnail } from "../thumbnail.js";

const MOST = 12;
const SIDE = 120; // pixels

/** The maps. */
export class Maps {
  #shown = "";
  #controller = new AbortController();

  /** @param {function(number)} onOpen Called with the step of a map. */
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.told = h("p", { class: "hint" });
    this.row = h("div", { class: "film" });
    this.legend = h("div", {});
    this.element = h("section", { class: "card", "aria-label": "A head's map as it forms" }, h("h2", {}, "A head as it forms"), this.told, this.row, this.legend);
  }

  /**
   * Show a head at the checkpoints there are.
   * @param {string} run
   * @param {number[]} steps
   * @param {{layer: number, head: number}} chosen
   * @param {import("../look.js").Look} look Its text, if it is of the same run.
   */
  async show(run, steps, chosen, look) {
    const some = spread(steps);
    const theme = document.documentElement.dataset.theme ?? "";
    const key = JSON.stringify([run, some, chosen.layer, chosen.head, look.run === run ? look.text : "", theme]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#controller.abort(new DOMException("outdated", "AbortError"));
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.element.hidden = !some.length;
    if (!some.length) return;
    try {
      await this.#draw(run, some, chosen, look, signal);
    } catch (error) {
      if (!signal.aborted) fill(this.told, error.message);
    }
  }

  /** Draw anew when next asked, in another theme. */
  forget() {
    this.#shown = "";
  }

  /** Ask no more. */
  end() {
    this.#controller.abort(new DOMException("outdated", "AbortError"));
    this.#shown = "";
  }

  async #draw(run, steps, chosen, look, signal) {
    const text = look.run === run ? look.text : (await json("examples", { run }, { signal })).texts[0].text;
    const maps = [];
    for (const step of steps) {
      const { data, shape } = await tensor("maps", { run, step, text }, { signal });
      const [layers, heads, rows, columns] = shape;
      const [layer, head] = [Math.min(chosen.layer, layers - 1), Math.min(chosen.head, heads - 1)];
      const size = rows * columns;
      const start = (layer * heads + head) * size;
      maps.push({ step, layer, head, rows, columns, data: data.subarray(start, start + size) });
    }
    if (signal.aborted) return;
    const scale = scaleOf([0], "weights", { low: 0, high: 1 });
    const [{ layer, head }] = maps;
    fill(this.told, `Layer ${layer}, head ${head}: who looks (down) at whom (across), reading `, h("q", {}, visible({ text: text.slice(0, 48) }), text.length > 48 && " …"));
    fill(this.row, maps.map((map) => this.#one(map, scale)));
    fill(this.legend, legend(scale));
  }

  #one(map, scale) {
    const side = Math.max(map.columns, Math.floor(SIDE / map.columns) * map.columns);
    const canvas = h("canvas", { width: side, height: side, "aria-hidden": "true" });
    thumbnail(canvas, map, scale);
    const told = `step ${map.step.toLocaleString("en")}`;
    return h("button", { class: "film-map", type: "button", title: `Open ${told} in all views`, onclick: () => this.onOpen(map.step) }, canvas, told);
  }
}

/** Of many checkpoints, the first, the last, and some between. */
function spread(steps) {
  if (steps.length <= MOST) return steps;
  const places = Array.from({ length: MOST }, (_, place) => Math.round((place * (steps.length - 1)) / (MOST - 1)));
  return [...new Set(places)].map((place) => steps[place]);
}
