/** Backward: from the loss to a gradient at each value, and what AdamW makes of a weight's. */

import { json } from "../api.js";
import { fill, h } from "../dom.js";
import { keyOf } from "../names.js";
import { data } from "../numbers.js";
import { openValue } from "../selection.js";
import * as state from "../state.js";
import { showStep } from "./adamw.js";
import { problem } from "./cells.js";
import { ValueGradient, WeightGradient } from "./gradient.js";
import { Norms } from "./norms.js";
import { brief, onTheWay, shownValue } from "./other.js";

/** What is drawn; null while another view is open. */
let parts = null;

/** @type {import("./index.js").View} */
export default { id: "backward", title: "Backward", show, hide };

async function show(root, context) {
  parts ??= build(root, context);
  parts.look = context.look;
  const { look, state: chosen, signal } = context;
  const value = shownValue(look, chosen);
  const found = await backward(look, signal);
  if (signal.aborted) return;
  parts.body.hidden = !found;
  if (!found) return;
  fill(parts.refused);
  const norms = new Map(found.values.map((one) => [keyOf(one), one]));
  showLoss(found);
  parts.norms.show(onTheWay(look, chosen), norms, keyOf(value));
  fill(parts.title, h("code", {}, brief(value)));
  fill(parts.meaning, value.meaning ?? "");
  await Promise.all([
    parts.sides.show(value, norms.get(keyOf(value))?.norm ?? null, context),
    showWeight(found.weights, value, context),
  ]);
}

function hide() {
  parts = null;
}

/** Ask for the gradients; null where there are none, which is told. */
async function backward(look, signal) {
  const tell = (...words) => fill(parts.refused, h("section", { class: "card" }, words));
  if (look.loss === null) {
    tell(h("h2", {}, "No loss, no gradient"), h("p", {}, "The text is one token, and nothing comes after it that could be predicted. Write one more."));
    return null;
  }
  try {
    return await json("backward", look.query, { signal });
  } catch (error) {
    if (signal.aborted || error.status !== 400) throw error;
    tell(problem(error));
    return null;
  }
}

function build(root, context) {
  const names = ["refused", "loss", "title", "meaning", "step", "stepRefused"];
  const made = Object.fromEntries(names.map((name) => [name, h("div", {})]));
  made.title = h("h2", {});
  made.meaning = h("p", {});
  made.norms = new Norms((key) => state.set(openValue(parts.look, parts.look.value(key))));
  made.sides = new ValueGradient();
  made.weight = h("select", { id: "weight", onchange: () => state.set({ weight: made.weight.value, cell: null }, { push: true }) });
  made.cell = h("input", { id: "cell", type: "text", inputmode: "numeric", autocomplete: "off", onchange: () => pickCell() });
  made.weights = new WeightGradient((index) => state.set({ weight: parts.weight.value, cell: index.join(",") }));
  made.body = h("div", { class: "backward-body" }, way(made), stage(made), update(made));
  fill(root, h("div", { class: "backward" }, made.refused, made.body));
  context.onHover((what) => what.from === "tokens" && made.sides.matrix.highlight(what));
  return made;
}

function way({ loss, norms }) {
  return h("section", { class: "card way", "aria-label": "The way back" }, h("h2", {}, "The way back"), loss, norms.element);
}

function stage({ title, meaning, sides }) {
  return h("section", { class: "card gradient-stage", "aria-label": "Value and gradient" }, title, meaning, sides.element);
}

function update({ weight, cell, weights, step, stepRefused }) {
  const field = (name, input) => h("label", { class: "field" }, h("span", { class: "field-name" }, name), input);
  const fields = h("div", { class: "compare-chosen" }, field("Weight", weight), field("cell", cell));
  const head = h("div", { class: "card-head" }, h("h2", {}, "AdamW’s update of one number"), fields);
  return h("section", { class: "card update", "aria-label": "Update" }, head, weights.element, stepRefused, step);
}

function showLoss({ loss, norm }) {
  const words = ["The gradient of a number tells how fast the loss, ", data(loss), " on this text, grows with it. All weights’ gradients together are ", data(norm), " long."];
  fill(parts.loss, h("p", {}, words));
}

async function showWeight(weights, value, context) {
  const { look, state: chosen, signal } = context;
  const weight = weights.find(({ name }) => name === chosen.weight) ?? besides(weights, value, chosen);
  showWeights(weights, weight);
  const wanted = weight.name === chosen.weight ? indexOf(chosen.cell, weight.shape) : null;
  parts.shape = weight.shape;
  const cell = await parts.weights.show(weight, wanted, context);
  if (signal.aborted) return;
  parts.cell.disabled = !cell;
  if (document.activeElement !== parts.cell) parts.cell.value = cell?.join(", ") ?? "";
  parts.cell.setAttribute("aria-label", `cell, ${weight.shape.map((size) => `0 to ${size - 1}`).join(", ")}`);
  if (!cell) return fill(parts.step);
  if (weight.optimizer === "muon") {
    fill(parts.stepRefused);
    return fill(parts.step, turnedWhole(weights));
  }
  try {
    const found = await json("adamw", { ...look.query, name: weight.name, index: cell.join(",") }, { signal });
    if (signal.aborted) return;
    fill(parts.stepRefused);
    showStep(parts.step, found);
  } catch (error) {
    if (signal.aborted) return;
    fill(parts.step);
    fill(parts.stepRefused, problem(error));
  }
}

/** What there is to say of a weight that Muon updates, and which ones AdamW does. */
function turnedWhole(weights) {
  const words =
    "Muon updates this weight, as one matrix: it averages the gradients of all its numbers, and evens out how far they turn each direction. So no number of it goes a way of its own. AdamW’s weights in this training: ";
  const pick = (name) => h("button", { type: "button", class: "quiet", onclick: () => state.set({ weight: name, cell: null }, { push: true }) }, h("code", {}, name));
  const others = weights.filter(({ optimizer }) => optimizer === "adamw").map(({ name }, at) => [at ? ", " : "", pick(name)]);
  return h("p", { class: "by-muon" }, words, others, ".");
}

/** The weight that made a value: its own, else one of its module, else one of its layer. */
function besides(weights, value, { layer }) {
  const usable = weights.filter(({ norm }) => norm !== null);
  const starts = (...words) => usable.find(({ name }) => words.some((word) => name.startsWith(word)));
  const module = value.module ? `${value.module}.` : "";
  const own = starts(`${module}${value.name}.`) ?? (module ? starts(module) : undefined);
  return own ?? starts(`blocks.${layer}.`) ?? usable[0] ?? weights[0];
}

function showWeights(weights, chosen) {
  const key = weights.map(({ name }) => name).join();
  if (parts.offered !== key) {
    parts.offered = key;
    fill(parts.weight, weights.map(({ name, shape }) => h("option", { value: name }, `${name} (${shape.join(" × ")})`)));
  }
  parts.weight.value = chosen.name;
}

/** Read a cell; null where it is none of the shape. */
function indexOf(text, shape) {
  const index = (text ?? "").split(/[\s,]+/).filter(Boolean).map(Number);
  const fits = index.length === shape.length && index.every((place, at) => Number.isInteger(place) && place >= 0 && place < shape[at]);
  return fits ? index : null;
}

function pickCell() {
  const index = indexOf(parts.cell.value, parts.shape);
  parts.cell.setAttribute("aria-invalid", String(!index));
  if (index) state.set({ weight: parts.weight.value, cell: index.join(",") });
  else fill(parts.stepRefused, h("p", { class: "problem", role: "alert" }, `A cell of this weight is ${parts.shape.map((size) => `0 to ${size - 1}`).join(", ")}.`));
}
