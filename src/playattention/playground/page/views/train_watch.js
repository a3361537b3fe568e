/** How a training stands: numbers, what it wrote, what it printed; stop, resume, open. */

import { post } from "../api.js";
import { fill, h } from "../dom.js";
import { data } from "../numbers.js";
import { runs } from "./train_follow.js";

const WORDS = { starting: "is starting", running: "is running", stopping: "is stopping", stopped: "has stopped", finished: "is finished", failed: "has failed" };

/** The panel. */
export class Watch {
  #samples = "";

  /**
   * @param {Object} told
   * @param {function()} told.onChange Called when it was stopped or resumed.
   * @param {function(string)} told.onOpen Called with the name of a run to look into.
   */
  constructor(told) {
    this.told = told;
    this.heading = h("h2", {});
    this.progress = h("progress", { max: 1, "aria-label": "Steps done" });
    this.numbers = h("dl", { class: "readings" });
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    this.stop = h("button", { type: "button", onclick: () => this.#post("stop", {}) }, "Stop");
    this.steps = h("input", { type: "number", min: 1, step: 1, "aria-label": "Go on to step" });
    this.resume = h("button", { type: "button", onclick: () => this.#resume() }, "Resume");
    this.until = h("label", { class: "field" }, "to step ", this.steps);
    this.open = h("button", { type: "button", onclick: () => told.onOpen(this.name) }, "Look into it");
    this.samples = h("div", { class: "samples" });
    this.log = h("pre", { class: "log", tabindex: 0 });
    this.card = h(
      "section",
      { class: "card watch", "aria-label": "Training" },
      this.heading,
      this.progress,
      this.numbers,
      h("div", { class: "buttons" }, this.stop, this.resume, this.until, this.open),
      this.problem,
    );
    this.written = h("section", { class: "card", "aria-label": "What it writes" }, h("h2", {}, "What it writes"), this.samples);
    this.printed = h("details", {}, h("summary", { class: "hint" }, "What it printed"), this.log);
  }

  /**
   * Show a training.
   * @param {import("./train_follow.js").Follow} follow
   */
  show(follow) {
    const { job } = follow;
    const going = runs(job);
    const other = this.name !== job.name || this.state !== job.state || this.planned !== job.planned;
    Object.assign(this, { name: job.name, state: job.state, planned: job.planned });
    fill(this.heading, h("code", {}, job.name), " ", h("span", { class: `state state-${job.state}` }, WORDS[job.state] ?? job.state));
    this.progress.max = Math.max(1, job.planned);
    this.progress.value = job.step;
    fill(this.numbers, readings(follow));
    fill(this.problem, job.error);
    this.problem.hidden = !job.error;
    this.stop.hidden = !going;
    this.stop.disabled = job.state === "stopping";
    this.resume.hidden = this.until.hidden = going;
    if (other) this.steps.value = job.step >= job.planned ? job.planned + 500 : job.planned;
    this.open.disabled = !job.steps.length;
    this.#write(job);
    fill(this.log, job.log.join("\n"));
    this.printed.hidden = !job.log.length;
  }

  /**
   * Tell what went wrong.
   * @param {string} problem
   */
  refuse(problem) {
    fill(this.problem, problem);
    this.problem.hidden = false;
  }

  #write({ samples, name }) {
    const key = `${name} ${samples.length}`;
    this.written.hidden = !samples.length;
    if (key === this.#samples) return;
    this.#samples = key;
    const figures = samples.toReversed().map(({ step, text }) =>
      h("figure", {}, h("figcaption", { class: "hint" }, `after ${step.toLocaleString("en")} steps`), h("pre", { tabindex: 0, role: "group", "aria-label": `Text after ${step} steps` }, text)),
    );
    const older = figures.length > 2 && h("details", {}, h("summary", {}, `${figures.length - 2} earlier`), figures.slice(2));
    fill(this.samples, figures.slice(0, 2), older);
  }

  #resume() {
    const steps = this.steps.value === "" ? null : Number(this.steps.value);
    return this.#post("resume", { steps: steps === this.planned ? null : steps });
  }

  async #post(what, body) {
    this.stop.disabled = true;
    try {
      await post(`jobs/${encodeURIComponent(this.name)}/${what}`, body);
      this.told.onChange();
    } catch (error) {
      this.refuse(error.message);
      this.stop.disabled = false;
    }
  }
}

function readings(follow) {
  const { job } = follow;
  const val = follow.last("eval_val_loss");
  const entries = [
    ["Step", `${job.step.toLocaleString("en")} of ${job.planned.toLocaleString("en")}`],
    ["Training loss", data(follow.last("train_loss"))],
    ["Validation loss", data(val)],
    ["Its floor", job.floor === null ? "not known" : data(job.floor)],
    ["Above the floor", job.floor === null || val === null ? "—" : data(val - job.floor)],
    ["Learning rate", data(follow.last("learning_rate"))],
    ["Gradient norm", data(follow.last("gradient_norm"))],
    ["Tokens per second", data(follow.last("tokens_per_second"))],
    ["Time left", left(follow)],
  ];
  return entries.map(([name, told]) => h("div", {}, h("dt", {}, name), h("dd", {}, told)));
}

function left({ rows, job }) {
  if (!runs(job)) return "—";
  const recent = rows.slice(-50).map(({ milliseconds }) => milliseconds).filter((one) => one !== null);
  if (!recent.length) return "not known yet";
  const each = recent.reduce((sum, one) => sum + one, 0) / recent.length;
  const seconds = Math.round((each * (job.planned - job.step)) / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
