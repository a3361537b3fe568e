/** Settings as fields: a number, where it helps a slider beside it, and what is wrong with it. */

import { fill, h } from "../dom.js";

let made = 0;

/**
 * @typedef {Object} Told
 * @property {string} label
 * @property {string} [hint] One line below.
 * @property {number|string} [min]
 * @property {number|string} [max]
 * @property {number|string} [step]
 * @property {[number, number, number]} [slider] Its least, greatest and step; none: no slider.
 * @property {string} [placeholder] What an empty field stands for.
 * @property {function(string)} onChange Called with what was entered.
 */

/** A number that is typed or slid to. */
export class Knob {
  /** @param {Told} told */
  constructor(told) {
    const id = `knob-${++made}`;
    const { label, hint, min, max, step, slider, placeholder, onChange } = told;
    const change = (text) => {
      this.show(text);
      onChange(text);
    };
    this.input = h("input", {
      id,
      type: "number",
      class: "knob-number",
      min,
      max,
      step: step ?? "any",
      placeholder,
      "aria-describedby": `${id}-hint ${id}-wrong`,
      onchange: (event) => change(event.target.value),
    });
    this.slider = slider && h("input", {
      type: "range",
      min: slider[0],
      max: slider[1],
      step: slider[2],
      "aria-label": `${label}, slider`,
      oninput: (event) => change(event.target.value),
    });
    this.wrong = h("p", { id: `${id}-wrong`, class: "problem knob-wrong", role: "alert", hidden: true });
    this.element = h(
      "div",
      { class: "knob" },
      h("label", { class: "field-name", for: id }, label),
      h("span", { class: "knob-inputs" }, this.slider, this.input),
      h("p", { class: "hint", id: `${id}-hint` }, hint),
      this.wrong,
    );
  }

  /**
   * Show a setting.
   * @param {string|number} text "" leaves it to its default.
   */
  show(text) {
    if (this.input.value !== String(text)) this.input.value = text;
    if (this.slider) this.slider.value = text === "" ? this.slider.max : text;
  }

  /**
   * Tell what is wrong with it.
   * @param {string|null} problem null: nothing.
   */
  refuse(problem) {
    fill(this.wrong, problem);
    this.wrong.hidden = !problem;
    if (problem) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }
}
