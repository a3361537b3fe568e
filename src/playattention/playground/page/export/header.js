/** The header of a file that stands alone: which model read which text. Nothing can be chosen. */

import { fill, h } from "../dom.js";
import { data } from "../numbers.js";
import { nextTheme } from "../theme.js";

/** The header. */
export class Header {
  /** @param {HTMLElement} element It stands in. */
  constructor(element) {
    this.run = h("p", { class: "field" });
    this.text = h("pre", { class: "export-text", id: "text", tabindex: 0, "aria-label": "Text" });
    this.facts = h("p", { class: "facts hint" });
    const theme = h("button", { class: "quiet theme", type: "button", title: "Light or dark", "aria-label": "Switch between light and dark", onclick: nextTheme }, "◐");
    const brand = h("h1", { class: "brand" }, "play", h("b", {}, "attention"));
    fill(element, h("div", { class: "header-top" }, brand, this.run, theme), this.text, this.facts);
  }

  /** There is one run. */
  showRuns() {}

  /** There is one text. */
  showExamples() {}

  /**
   * Show what is looked at.
   * @param {import("../look.js").Look} look
   */
  show(look) {
    const { n_layer, n_head, n_embd } = look.sizes;
    fill(this.run, h("span", { class: "field-name" }, "Run"), h("code", {}, look.run), h("span", { class: "hint" }, `step ${look.step.toLocaleString("en")}`));
    fill(this.text, look.text);
    const told = [`${look.model} · ${n_layer} layers × ${n_head} heads, ${n_embd} channels · ${look.tokens.length} tokens`];
    if (look.loss !== null) told.push([" · this text ", data(look.loss), " nats a token"]);
    fill(this.facts, told, " · each number is the model’s own");
  }

  /**
   * Tell why something can't be looked at.
   * @param {string} problem
   */
  refuse(problem) {
    fill(this.facts, h("span", { class: "problem", role: "alert" }, problem));
  }
}
