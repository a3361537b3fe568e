/** The course as a list: a button for each exercise, and how it stands. */

import { fill, h, rest, roving } from "../dom.js";
import { redraw } from "./cells.js";

const MARKS = { "not started": "", started: "…", passed: "✓", "changed since it passed": "~" };

/** The list. */
export class List {
  /** @param {function(string)} onPick Called with a name. */
  constructor(onPick) {
    this.onPick = onPick;
    this.told = h("p", { class: "hint" });
    this.bar = h("progress", { "aria-label": "Exercises passed" });
    this.items = h("ol", { class: "lessons" });
    this.element = h("nav", { class: "card lesson-list", "aria-label": "Exercises" }, this.told, this.bar, this.items);
    roving(this.items, ".lesson");
  }

  /**
   * Show all exercises.
   * @param {Object[]} all Of /api/exercises.
   * @param {string} chosen
   */
  show(all, chosen) {
    const passed = all.filter(({ state }) => state === "passed").length;
    this.bar.max = all.length;
    this.bar.value = passed;
    fill(this.told, `${passed} of ${all.length} passed`);
    redraw(this.items, all.map(({ name, state }) => [name, state, name === chosen]), () => all.map((one) => this.#item(one, chosen)));
    if (!this.items.contains(document.activeElement)) rest(this.items, ".lesson", this.items.querySelector("[aria-current]"));
  }

  #item({ number, name, title, state }, chosen) {
    const pick = () => this.onPick(name);
    const parts = { class: "lesson", type: "button", title, dataset: { exercise: name, state }, "aria-current": name === chosen && "true", onclick: pick };
    const mark = h("span", { class: "lesson-mark", "aria-hidden": "true" }, MARKS[state]);
    return h("li", {}, h("button", parts, `${number} `, h("span", { class: "lesson-title" }, title), mark, h("span", { class: "unseen" }, `, ${state}`)));
  }
}
