/** The losses of a run as a line, with the floor that no model gets below, and where one stands. */

import { fill, h } from "../dom.js";
import { short } from "../numbers.js";

const SPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 170;
const MARGIN = { left: 40, right: 14, top: 14, bottom: 24 };
const TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];

/** The line, drawn anew for each width. */
export class LossLine {
  #told = null;
  #place = null;

  /** @param {function(number)} onPick Called with the step of the checkpoint next to a click. */
  constructor(onPick) {
    this.svg = svg("svg", { class: "loss-line", height: HEIGHT, role: "img" });
    this.svg.addEventListener("click", (event) => this.#pick(event, onPick));
    this.legend = h("figcaption", { class: "loss-legend" });
    this.element = h("figure", {}, this.legend, this.svg);
    new ResizeObserver(() => this.#draw()).observe(this.element);
  }

  /**
   * Show losses.
   * @param {Object} told
   * @param {{step: number, loss: number}[]} told.rows Of the validation text, ascending.
   * @param {number|null} told.floor
   * @param {number[]} told.steps The checkpoints.
   * @param {number} told.now The checkpoint looked at.
   * @param {number|null} told.then The one it is compared with; null: of another run.
   */
  show(told) {
    this.#told = told;
    const { rows, floor, now } = told;
    const label = rows.length
      ? `Validation loss from ${short(rows[0].loss)} at step ${rows[0].step} to ${short(rows.at(-1).loss)} at step ${rows.at(-1).step}${floor === null ? "" : `, floor ${short(floor)}`}; looked at: step ${now}`
      : "no losses";
    this.svg.setAttribute("aria-label", label);
    fill(
      this.legend,
      key("line", "validation loss in nats a token (log scale)"),
      floor !== null && key("floor", `floor ${short(floor)}: the entropy of the text`),
      key("now", "checkpoint looked at"),
      told.then !== null && key("then", "compared with"),
    );
    this.#draw();
  }

  #draw() {
    const width = this.element.clientWidth;
    if (!this.#told || !width) return;
    const { rows, floor, steps, now, then } = this.#told;
    const place = placed(this.#told, width);
    this.#place = place;
    this.svg.setAttribute("width", width);
    const { x, y, bottom } = place;
    const cursor = (step, kind) => [
      svg("line", { class: `cursor ${kind}`, x1: x(step), x2: x(step), y1: MARGIN.top - 6, y2: bottom }),
      lossAt(rows, step) !== null && svg("circle", { class: `cursor-dot ${kind}`, cx: x(step), cy: y(lossAt(rows, step)), r: 4.5 }),
    ];
    fill(
      this.svg,
      axes(place, width),
      floor !== null && svg("line", { class: "floor", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(floor), y2: y(floor) }),
      then !== null && cursor(then, "then"),
      cursor(now, "now").slice(0, 1),
      svg("path", { class: "line", d: rows.map(({ step, loss }, at) => `${at ? "L" : "M"}${x(step)} ${y(loss)}`).join("") }),
      steps.map((step) => svg("circle", { class: "checkpoint", cx: x(step), cy: bottom, r: 2 })),
      cursor(now, "now").slice(1),
    );
  }

  #pick(event, onPick) {
    if (!this.#place) return;
    const at = event.clientX - this.svg.getBoundingClientRect().left;
    const { x } = this.#place;
    const { steps } = this.#told;
    const near = [...steps].sort((one, other) => Math.abs(x(one) - at) - Math.abs(x(other) - at));
    if (near.length) onPick(near[0]);
  }
}

/**
 * Return the loss that was measured at a step.
 * @param {{step: number, loss: number}[]} rows
 * @param {number} step
 * @returns {number|null}
 */
export function lossAt(rows, step) {
  return rows.find((row) => row.step === step)?.loss ?? null;
}

function placed({ rows, floor, steps }, width) {
  const last = Math.max(1, ...steps, ...rows.map(({ step }) => step));
  const sizes = [...rows.map(({ loss }) => loss), ...(floor === null ? [] : [floor])].filter((loss) => loss > 0);
  const [low, high] = [Math.min(...sizes) / 1.15, Math.max(...sizes) * 1.15];
  const bottom = HEIGHT - MARGIN.bottom;
  const wide = width - MARGIN.left - MARGIN.right;
  const share = (loss) => Math.log(loss / low) / Math.log(high / low);
  return {
    last,
    low,
    high,
    bottom,
    x: (step) => round(MARGIN.left + (step / last) * wide),
    y: (loss) => round(bottom - share(Math.max(low, loss)) * (bottom - MARGIN.top)),
  };
}

function axes({ x, y, low, high, last, bottom }, width) {
  const ticks = TICKS.filter((tick) => tick >= low && tick <= high);
  const rows = ticks.map((tick) => [
    svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }),
    svg("text", { x: MARGIN.left - 6, y: y(tick) + 3.5, "text-anchor": "end" }, tick),
  ]);
  const columns = stepsUpTo(last).map((step) => {
    const anchor = x(step) > width - 30 ? "end" : "middle";
    return svg("text", { x: x(step), y: bottom + 17, "text-anchor": anchor }, step.toLocaleString("en"));
  });
  const ground = svg("line", { class: "ground", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom });
  return [rows, columns, ground];
}

/** Round numbers from 0 on, six at most. */
function stepsUpTo(last) {
  const raw = last / 5;
  const tens = 10 ** Math.floor(Math.log10(raw));
  const size = Math.max(1, [1, 2, 5, 10].map((one) => one * tens).find((one) => one >= raw));
  return Array.from({ length: Math.floor(last / size) + 1 }, (_, at) => at * size);
}

function key(kind, words) {
  return h("span", { class: "loss-key" }, h("i", { class: `key-${kind}`, "aria-hidden": "true" }), words);
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map(String));
  return element;
}

function round(place) {
  return Math.round(place * 10) / 10;
}
