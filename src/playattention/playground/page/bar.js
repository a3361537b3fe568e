/** The bar of views, and of what is selected in all of them: layer, head, position. */

import { fill, h, rest, reveal, roving } from "./dom.js";
import { choose, within } from "./selection.js";
import * as state from "./state.js";

/** The bar. */
export class Bar {
  #look = null;

  /**
   * @param {HTMLElement} element It stands in.
   * @param {{id: string, title: string}[]} views
   */
  constructor(element, views) {
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" }, views.map(tab));
    roving(this.tabs, ".tab");
    const pick = (key) => (number) => state.set(choose(this.#look, state.get(), { [key]: number }));
    this.layer = new Stepper("Layer", pick("layer"));
    this.head = new Stepper("Head", pick("head"));
    this.pos = new Stepper("Position", (pos) => state.set({ pos }));
    const steppers = [this.layer, this.head, this.pos].map((stepper) => stepper.element);
    fill(element, this.tabs, h("div", { class: "steppers" }, steppers));
  }

  /**
   * Mark the view that is shown.
   * @param {string} id
   */
  showView(id) {
    for (const one of this.tabs.children) {
      one.setAttribute("aria-selected", String(one.dataset.view === id));
    }
    const shown = this.tabs.querySelector(`[data-view="${id}"]`);
    reveal(this.tabs, shown);
    if (!this.tabs.contains(document.activeElement)) rest(this.tabs, ".tab", shown);
  }

  /**
   * Show what is selected.
   * @param {import("./look.js").Look} look
   */
  show(look) {
    this.#look = look;
    const { layer, head, pos } = within(state.get(), look);
    this.layer.show(layer, look.sizes.n_layer);
    this.head.show(head, look.sizes.n_head);
    this.pos.show(pos, look.tokens.length, look.labels[pos]);
  }
}

function tab({ id, title }) {
  return h(
    "button",
    {
      class: "tab",
      type: "button",
      role: "tab",
      id: `tab-${id}`,
      "aria-controls": "view",
      "aria-selected": "false",
      dataset: { view: id },
      onclick: () => state.set({ view: id }),
    },
    title,
  );
}

/** A whole number that goes up and down. */
class Stepper {
  #number = 0;
  #size = 1;

  constructor(name, onPick) {
    const go = (step) => {
      const next = Math.max(0, Math.min(this.#size - 1, this.#number + step));
      if (next !== this.#number) onPick(next);
    };
    const button = (sign, told, step) =>
      h("button", { class: "quiet", type: "button", "aria-label": `${told} ${name.toLowerCase()}`, onclick: () => go(step) }, sign);
    this.input = h("input", {
      type: "number",
      class: "stepper-number",
      min: 0,
      step: 1,
      inputmode: "numeric",
      "aria-label": name,
      onchange: () => this.#typed(onPick),
    });
    this.told = h("span", { class: "stepper-told" });
    const label = h("span", { class: "field-name", "aria-hidden": "true" }, name);
    const [less, more] = [button("−", "Previous", -1), button("+", "Next", 1)];
    this.element = h("div", { class: "stepper" }, label, less, this.input, more, this.told);
  }

  show(number, size, word = "") {
    this.#number = number;
    this.#size = size;
    this.input.max = size - 1;
    this.input.value = number;
    fill(this.told, word && h("code", {}, word), h("span", { class: "stepper-range" }, `0–${size - 1}`));
  }

  #typed(onPick) {
    const number = Math.round(Number(this.input.value));
    if (number >= 0 && number < this.#size) onPick(number);
    else this.input.value = this.#number;
  }
}
