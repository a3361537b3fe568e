/** A value at every checkpoint of a run, small, one beside the other, on one scale. */

import { tensor } from "../api.js";
import { fitting, scaleOf } from "../colours.js";
import { fill, h, rest, roving } from "../dom.js";
import { legend } from "../legend.js";
import { data } from "../numbers.js";
import { thumbnail } from "../thumbnail.js";
import { problem } from "./cells.js";

const WIDTH = 66;
const HEIGHT = { least: 12, most: 66 };

/** The strip. */
export class Strip {
  /** @param {function(number)} onPick Called with the step of a picture. */
  constructor(onPick) {
    this.legend = h("div", {});
    this.told = h("p", { class: "hint" });
    this.pictures = h("div", {
      class: "strip-pictures",
      role: "group",
      "aria-label": "The value at every checkpoint",
      onclick: (event) => {
        const one = event.target.closest(".strip-one");
        if (one) onPick(Number(one.dataset.step));
      },
    });
    roving(this.pictures, ".strip-one");
    const head = h("div", { class: "strip-head" }, this.told, this.legend);
    this.element = h("div", { class: "strip" }, head, this.pictures);
  }

  /**
   * Show a value at all checkpoints.
   * @param {Object} value
   * @param {number|null} then The step that is compared with; null: of another run.
   * @param {import("./index.js").Context} context
   */
  async show(value, then, context) {
    const { look, state: chosen, signal } = context;
    const { module, name, occurrence } = value;
    const fixed = look.fixed(value, chosen.head);
    const { run, text, change } = look;
    const query = { run, text, change, module, name, occurrence, index: fixed.join(",") };
    let found;
    try {
      found = await tensor("across", query, { signal });
    } catch (error) {
      if (signal.aborted) return;
      fill(this.legend);
      fill(this.told);
      return fill(this.pictures, problem(error));
    }
    if (signal.aborted) return;
    this.#draw(value, found, look, then);
  }

  #draw(value, { data: numbers, shape, headers }, look, then) {
    const steps = headers.get("X-Steps").split(",").map(Number);
    const [rows, columns] = shape.length > 2 ? shape.slice(-2) : [1, shape.length > 1 ? shape[1] : 1];
    const scale = scaleOf(numbers, fitting(numbers, columns));
    const size = rows * columns;
    const single = size === 1;
    const cells = steps.map((step, at) => {
      const own = { data: numbers.subarray(at * size, (at + 1) * size), rows, columns };
      return single ? { step, own, picture: data(numbers[at]) } : { step, own, picture: canvas(rows, columns) };
    });
    const focus = this.pictures.contains(document.activeElement);
    fill(this.pictures, cells.map(({ step, picture }) => one(step, picture, look.step, then)));
    if (!single) for (const { own, picture } of cells) thumbnail(picture, own, scale);
    const current = this.pictures.querySelector('[aria-pressed="true"]');
    rest(this.pictures, ".strip-one", current);
    if (focus) current?.focus({ preventScroll: true });
    fill(this.legend, single ? "" : legend(scale));
    fill(this.told, h("code", {}, value.title), ` at ${steps.length === 1 ? "the only checkpoint" : `all ${steps.length} checkpoints`}${single ? "" : ", all on one scale"}`);
  }
}

function one(step, picture, now, then) {
  const kind = step === now ? "now" : step === then ? "then" : "";
  const words = step === now ? ", looked at" : step === then ? ", compared with" : "";
  return h(
    "button",
    {
      class: `strip-one ${kind}`,
      type: "button",
      dataset: { step },
      "aria-pressed": String(step === now),
      "aria-label": `step ${step}${words}`,
    },
    picture,
    h("span", { class: "strip-step" }, step.toLocaleString("en")),
  );
}

/** As wide as all others; drawn with as many dots as the screen has. */
function canvas(rows, columns) {
  const dots = Math.min(3, devicePixelRatio || 1);
  const height = Math.max(HEIGHT.least, Math.min(HEIGHT.most, (WIDTH * rows) / columns));
  const found = h("canvas", { width: Math.round(WIDTH * dots), height: Math.round(height * dots), "aria-hidden": "true" });
  found.style.width = `${WIDTH}px`;
  found.style.height = `${Math.round(height)}px`;
  return found;
}
