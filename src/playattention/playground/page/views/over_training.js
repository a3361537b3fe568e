/** Over training: a value through the checkpoints of a run, the loss, and two of them compared. */

import { json } from "../api.js";
import { fill, h } from "../dom.js";
import { data } from "../numbers.js";
import * as state from "../state.js";
import { problem, signed } from "./cells.js";
import { Compare } from "./compare.js";
import { lossAt, LossLine } from "./over_loss.js";
import { Strip } from "./over_strip.js";
import { bothMatrices, otherLook, shares, shownValue, ValuePicker } from "./other.js";
import { showShares } from "./shares.js";

/** What is drawn; null while another view is open. */
let parts = null;

/** @type {import("./index.js").View} */
export default { id: "over-training", title: "Over training", show, hide };

async function show(root, context) {
  parts ??= build(root, context);
  const { look, state: chosen, signal } = context;
  const value = shownValue(look, chosen);
  if (!value) return fill(parts.stage, problem(new Error("This model has no value to show.")));
  parts.value = value;
  parts.picker.show(context, value);
  const runs = await json("runs", {}, { signal });
  if (signal.aborted) return;
  const other = compared(look, chosen, runs);
  showSteps(look);
  showOthers(look, other, runs);
  const [measured, there] = await Promise.all([
    showLosses(look, other, runs, signal),
    showDifference(value, other, context),
    parts.strip.show(value, other.run === look.run ? other.step : null, context),
  ]);
  if (!signal.aborted) showTable(measured, look, there, other);
}

function hide() {
  parts = null;
}

/** What it is compared with: the URL's, else the first checkpoint, or the last beside the first. */
function compared(look, chosen, runs) {
  const run = chosen.other ?? look.run;
  const steps = run === look.run ? look.steps : (runs.find((one) => one.name === run)?.steps ?? []);
  const wanted = chosen.other_step === undefined ? null : Number(chosen.other_step);
  if (wanted !== null && steps.includes(wanted)) return { run, step: wanted, steps };
  const first = run === look.run && look.step === steps[0] ? steps.at(-1) : steps[0];
  return { run, step: first ?? null, steps };
}

function build(root, context) {
  const go = (step) => state.set({ step });
  const slider = h("input", { id: "over-step", type: "range", min: 0, step: 1, "aria-describedby": "over-told" });
  slider.addEventListener("input", () => go(parts.steps[Number(slider.value)]));
  const made = {
    slider,
    told: h("p", { id: "over-told", class: "hint" }),
    lone: h("p", { class: "hint lone", hidden: true }),
    losses: h("div", { class: "over-losses" }),
    line: new LossLine(go),
    noLine: h("p", { class: "hint" }),
    strip: new Strip(go),
    picker: new ValuePicker(),
    shares: h("section", { class: "shares" }),
    refused: h("div", {}),
    run: h("select", { id: "over-run", onchange: () => choose({ other: parts.run.value, other_step: null }) }),
    step: h("select", { id: "over-other", onchange: () => choose({ other_step: parts.step.value }) }),
    swap: h("button", { type: "button", onclick: () => exchange() }, "⇄ exchange"),
  };
  made.compare = new Compare(made.shares);
  context.onHover((what) => what.from === "tokens" && made.compare.highlight(what));
  made.stage = h("div", { class: "over" }, over(made), across(made), difference(made));
  fill(root, made.stage);
  return made;
}

function over({ slider, told, lone, losses, line, noLine }) {
  const label = h("label", { class: "field over-slider" }, h("span", { class: "field-name" }, "Checkpoint"), slider);
  const curve = h("div", { class: "over-curve" }, label, told, lone, line.element, noLine);
  return h("section", { class: "card", "aria-label": "The run" }, h("h2", {}, "The run"), h("div", { class: "over-run" }, curve, losses));
}

function across({ picker, strip }) {
  const head = h("div", { class: "card-head" }, h("h2", {}, "At every checkpoint"), picker.element);
  return h("section", { class: "card", "aria-label": "At every checkpoint" }, head, strip.element);
}

function difference({ run, step, swap, refused, compare }) {
  const field = (name, input) => h("label", { class: "field" }, h("span", { class: "field-name" }, name), input);
  const chosen = h("div", { class: "compare-chosen" }, field("Compared with", run), field("checkpoint", step), swap);
  const head = h("div", { class: "card-head" }, h("h2", {}, "What changed"), chosen);
  return h("section", { class: "card", "aria-label": "What changed" }, head, refused, compare.element);
}

function choose(patch) {
  state.set(patch, { push: false });
}

/** Look at what was compared with, and compare it with what was looked at. */
function exchange() {
  const { look, other } = parts;
  state.set({ run: other.run, step: other.step, other: look.run, other_step: look.step }, { push: true });
}

function showSteps(look) {
  const steps = look.steps.length ? look.steps : [look.step];
  parts.steps = steps;
  parts.slider.max = steps.length - 1;
  parts.slider.value = Math.max(0, steps.indexOf(look.step));
  parts.slider.disabled = steps.length < 2;
  parts.slider.setAttribute("aria-valuetext", `step ${look.step}`);
  fill(parts.told, "step ", h("b", {}, look.step.toLocaleString("en")), steps.length > 1 ? `, checkpoint ${steps.indexOf(look.step) + 1} of ${steps.length}. It moves every view.` : ", the only checkpoint.");
  parts.lone.hidden = steps.length > 1;
  fill(parts.lone, "One checkpoint alone: there is no way to look back. Choose another run below to compare it with.");
}

function showOthers(look, other, runs) {
  Object.assign(parts, { look, other });
  const usable = runs.filter(({ error, steps }) => !error && steps?.length);
  fill(parts.run, usable.map(({ name }) => h("option", { value: name }, name === look.run ? `${name} (this run)` : name)));
  if (!usable.some(({ name }) => name === other.run)) parts.run.append(h("option", { value: other.run }, `${other.run} (not found)`));
  parts.run.value = other.run;
  fill(parts.step, other.steps.map((step) => h("option", { value: step }, `step ${step.toLocaleString("en")}`)));
  parts.step.value = other.step;
  parts.swap.disabled = other.step === null;
}

async function showLosses(look, other, runs, signal) {
  const known = runs.find(({ name }) => name === look.run);
  const found = await rowsOf(look.run, known, signal);
  const beside = other.run === look.run ? found : await rowsOf(other.run, runs.find(({ name }) => name === other.run), signal);
  if (signal.aborted) return null;
  const { rows, floor } = found;
  parts.line.element.hidden = rows.length < 2;
  fill(parts.noLine, rows.length ? "" : "No losses of this run are at hand: it was not trained here.");
  if (rows.length > 1) parts.line.show({ rows, floor, steps: look.steps, now: look.step, then: other.run === look.run ? other.step : null });
  return { now: lossAt(rows, look.step), then: lossAt(beside.rows, other.step) };
}

/** The losses of a run's log on the validation text; none where there is no log. */
async function rowsOf(run, known, signal) {
  const floor = known?.floor ?? null;
  if (known?.kind !== "run") return { rows: [], floor };
  try {
    const found = await json(`jobs/${encodeURIComponent(run)}`, { since: 0 }, { signal });
    const rows = found.rows.filter(({ eval_val_loss: loss }) => loss !== null);
    return { rows: rows.map(({ step, eval_val_loss: loss }) => ({ step, loss })), floor: found.floor ?? floor };
  } catch (error) {
    if (signal.aborted || ![404, 422].includes(error.status)) throw error;
    return { rows: [], floor };
  }
}

/** Show the maps; return the other look, or null where there is none to compare with. */
async function showDifference(value, other, context) {
  const { look, state: chosen, signal } = context;
  const names = { now: nameOf(look, other), then: nameOf(other, look) };
  const same = other.run === look.run && other.step === look.step;
  try {
    if (other.step === null) throw new Error(`${other.run} has no checkpoint yet.`);
    const there = await otherLook(look, { run: other.run, step: other.step }, signal);
    const found = await bothMatrices(value, look, there, chosen, signal);
    const listed = await shares(look, there, signal);
    if (signal.aborted) return null;
    fill(parts.refused, same && h("p", { class: "hint" }, "Both are the same checkpoint: nothing differs. Choose another checkpoint or run."));
    parts.compare.element.hidden = false;
    parts.compare.show(value, { ...found, then: same ? null : found.then }, names, context);
    if (!same) showShares(parts.shares, listed, look);
    return there;
  } catch (error) {
    if (signal.aborted) return null;
    fill(parts.refused, problem(error));
    parts.compare.element.hidden = true;
    return null;
  }
}

function nameOf({ run, step }, beside) {
  const number = `step ${step?.toLocaleString("en")}`;
  return run === beside.run ? number : `${run}, ${number}`;
}

function showTable({ now, then }, look, there, other) {
  const same = other.run === look.run && other.step === look.step;
  const row = (title, one, before) => {
    const change = one === null || before === null ? null : one - before;
    const cells = (same ? [data(one)] : [data(before), data(one), signed(change)]).map((cell) => h("td", { class: "right" }, cell));
    return h("tr", {}, h("th", { scope: "row" }, title), cells);
  };
  const columns = same ? ["nats a token", nameOf(look, other)] : ["nats a token", nameOf(other, look), nameOf(look, other), "change"];
  const head = columns.map((name, at) => h("th", { scope: "col", class: at ? "right" : null }, name));
  const body = h("tbody", {}, row("validation", now, then), row("this text", look.loss, there?.loss ?? null));
  const table = h("table", { class: "figures" }, h("thead", {}, h("tr", {}, head)), body);
  fill(parts.losses, h("div", { class: "wide" }, table));
}
