/** Train: start a training, watch it learn, stop it, resume it. */

import { forget, json } from "../api.js";
import { fill, h } from "../dom.js";
import * as state from "../state.js";
import { Curves } from "./train_curves.js";
import { Follow, runs } from "./train_follow.js";
import { Form } from "./train_form.js";
import { Maps } from "./train_maps.js";
import { Watch } from "./train_watch.js";

let parts = null; // what is drawn; null while another view is open

/** @type {import("./index.js").View} */
export default { id: "train", title: "Train", show, hide };

async function show(root, context) {
  const isNew = !parts;
  parts ??= build(root);
  parts.context = context;
  if (isNew) await Promise.all([parts.form.load(), list()]);
  if (!parts) return;
  follow(context.state.job ?? likeliest());
  if (context.changed.has("theme") && parts.follow) {
    parts.maps.forget();
    parts.curves.show(parts.follow);
  }
  if (parts.follow?.job) showMaps();
}

function hide() {
  parts.follow?.end();
  parts.curves.end();
  parts.maps.end();
  parts = null;
}

function build(root) {
  const form = new Form((job) => begun(job));
  const curves = new Curves();
  const maps = new Maps((step) => open(parts.follow.name, step));
  const watch = new Watch({ onChange: () => (parts.follow.ask(), list()), onOpen: (name) => open(name, null) });
  const jobs = h("nav", { class: "jobs", "aria-label": "Trainings" });
  const begin = h("details", { class: "card begin" }, h("summary", {}, "Train a model"), form.element);
  const shown = h("div", { class: "training", hidden: true }, watch.card, h("section", { class: "card", "aria-label": "Curves" }, curves.element, watch.printed), maps.element, watch.written);
  const nothing = h("p", { class: "hint" });
  fill(root, h("div", { class: "train" }, jobs, nothing, begin, shown));
  return { form, curves, maps, watch, jobs, begin, shown, nothing, follow: null, all: [] };
}

/** Show which trainings there are. */
async function list() {
  const all = await json("jobs", {}, { keep: false });
  if (!parts) return;
  parts.all = all;
  const own = parts.context.look.run;
  const others = [...new Set([own, parts.context.state.job])].filter((one) => one && !one.startsWith("untrained:") && !all.some(({ name }) => name === one));
  const buttons = [...all, ...others.map((name) => ({ name, state: "" }))].map(({ name, state: told }) =>
    h("button", { class: "job", type: "button", dataset: { job: name }, onclick: () => state.set({ job: name }) }, h("code", {}, name), " ", h("small", { class: `state state-${told}` }, told)),
  );
  fill(parts.jobs, buttons.length ? [h("span", { class: "field-name" }, "Trainings"), buttons] : null);
  mark();
}

function mark() {
  for (const button of parts.jobs.querySelectorAll(".job")) {
    button.setAttribute("aria-pressed", String(button.dataset.job === parts.follow?.name));
  }
}

/** Return the training to show where none is chosen. */
function likeliest() {
  const { run } = parts.context.look;
  const running = parts.all.find(runs);
  if (running) return running.name;
  return run.startsWith("untrained:") ? parts.all[0]?.name : run;
}

function follow(name) {
  if (!name) {
    parts.begin.open = true;
    fill(parts.nothing, "Nothing was trained here yet. Start training: within seconds the loss falls, and the model writes.");
    return;
  }
  if (parts.follow?.name === name) return;
  parts.follow?.end();
  fill(parts.nothing, "Asking …");
  parts.shown.hidden = true;
  parts.follow = new Follow(name, news, (error) => fill(parts.nothing, error.message));
  parts.follow.ask();
  mark();
}

function news(one) {
  if (!parts || one !== parts.follow) return;
  const { job } = one;
  fill(parts.nothing);
  parts.shown.hidden = false;
  parts.watch.show(one);
  parts.curves.show(one);
  const known = parts.all.find(({ name }) => name === job.name);
  if (known && known.state !== job.state) {
    known.state = job.state;
    parts.context.announce(`training ${job.name}: ${job.state}`);
    list();
  }
  const steps = job.steps.join();
  if (steps !== parts.steps && job.name === parts.context.look.run) forget(); // it has a new checkpoint
  parts.steps = steps;
  showMaps();
}

function showMaps() {
  const { look, state: chosen } = parts.context;
  const { name, job } = parts.follow;
  parts.maps.show(name, job.steps, chosen, look);
}

async function begun(job) {
  parts.begin.open = false;
  await list();
  state.set({ job: job.name }, { push: true });
}

/** Look into a run in all views. */
function open(run, step) {
  const other = run !== parts.context.look.run;
  forget();
  state.set({ run, step, view: "flow", index: null, operand: null, ...(other && { text: null, pos: null, prompt: null, drawn: null }) });
}
