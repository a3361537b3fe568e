/** The gradients along the way back, from the loss to the embeddings: a bar for each value. */

import { fill, h, liken, rest, roving } from "../dom.js";
import { keyOf, part, variable } from "../names.js";
import { data } from "../numbers.js";
import { amount } from "./cells.js";

/** The bars. */
export class Norms {
  /** @param {function(string)} onOpen Called with the key of a value. */
  constructor(onOpen) {
    this.list = h("div", { class: "norms", role: "group", "aria-label": "Gradients, from the loss back" });
    this.told = h("p", { class: "hint" });
    this.element = h("div", {}, this.told, this.list);
    roving(this.list, ".norm");
    this.list.addEventListener("click", (event) => {
      const one = event.target.closest(".norm");
      if (one) onOpen(one.dataset.key);
    });
  }

  /**
   * Show the gradients' lengths.
   * @param {Object[]} values Those on the way, in the order of the forward pass.
   * @param {Map<string, {norm: number|null, largest: number|null}>} norms By key.
   * @param {string} open The key of the one that is open.
   */
  show(values, norms, open) {
    const back = values.filter(({ name }) => !name.startsWith("return")).reverse();
    const of = (value) => norms.get(keyOf(value))?.norm ?? null;
    const most = Math.max(0, ...back.map((value) => (value.shape.length ? (of(value) ?? 0) : 0)));
    const focused = this.list.querySelector(".norm:focus")?.dataset.key;
    let module = null;
    const rows = back.map((value) => {
      const heading = value.module === module ? null : h("h3", { class: "norm-module" }, h("code", {}, value.module || "the model"));
      module = value.module;
      return [heading, row(value, of(value), most, keyOf(value) === open)];
    });
    fill(this.told, "length of the gradient, the longest bar ", data(most));
    liken(this.list, rows);
    const current = this.list.querySelector('[aria-pressed="true"]');
    rest(this.list, ".norm", current);
    if (focused) this.list.querySelector(`.norm[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

function row(value, norm, most, open) {
  const kind = part(variable(value));
  const name = value.occurrence ? `${value.name} #${value.occurrence}` : value.name;
  return h(
    "button",
    {
      class: `norm ${norm === null ? "none" : ""}`,
      type: "button",
      dataset: { key: keyOf(value) },
      title: value.title,
      "aria-pressed": String(open),
    },
    h("code", { class: kind ? `norm-name part-${kind}` : "norm-name" }, name),
    h("span", { class: "norm-bar" }, norm === null || !value.shape.length ? "" : amount(norm, most)),
    norm === null ? h("span", { class: "hint" }, "none") : data(norm),
  );
}
