/** The header: which run, which checkpoint, which text; and what is known of them. */

import { fill, h } from "./dom.js";
import { data } from "./numbers.js";
import * as state from "./state.js";
import { nextTheme } from "./theme.js";

const PAUSE = 150; // milliseconds without a key, until a text is looked at

/** The header. */
export class Header {
  #timer = null;
  #steps = [];

  /**
   * @param {HTMLElement} element It stands in.
   * @param {function()} onRuns Called when somebody is about to choose a run.
   */
  constructor(element, onRuns) {
    this.run = h("select", { id: "run", onchange: () => this.#chooseRun(), onfocus: onRuns });
    this.step = h("input", { id: "step", type: "range", min: 0, step: 1, oninput: () => this.#slide() });
    this.stepTold = h("output", { for: "step", class: "step-told" });
    this.text = h("textarea", {
      id: "text",
      rows: 2,
      spellcheck: "false",
      autocomplete: "off",
      "aria-describedby": "text-told",
      oninput: () => this.#typed(),
    });
    this.told = h("p", { id: "text-told", class: "hint" });
    this.wrong = h("p", { id: "text-wrong", class: "problem", role: "alert", hidden: true });
    this.examples = h("select", { id: "examples", onchange: () => this.#example() });
    this.facts = h("p", { class: "facts hint" });
    fill(element, this.#top(), this.#bottom());
  }

  #top() {
    return h(
      "div",
      { class: "header-top" },
      h("h1", { class: "brand" }, "play", h("b", {}, "attention")),
      field("Run", this.run),
      field("Checkpoint", h("span", { class: "slider" }, this.step, this.stepTold)),
      h(
        "button",
        { class: "quiet theme", type: "button", title: "Light or dark", "aria-label": "Switch between light and dark", onclick: nextTheme },
        "◐",
      ),
    );
  }

  #bottom() {
    return h(
      "div",
      { class: "header-text" },
      field("Text", this.text),
      field("Examples", this.examples),
      h("div", { class: "header-told" }, this.wrong, this.told, this.facts),
    );
  }

  /**
   * Offer runs.
   * @param {Object[]} runs Of /api/runs.
   * @param {string} chosen
   */
  showRuns(runs, chosen) {
    const options = runs.map((run) => {
      const told = run.error ? " (cannot be read)" : run.step === null ? " (nothing saved yet)" : "";
      return h("option", { value: run.name, disabled: Boolean(run.error) || run.step === null }, run.name + told);
    });
    if (!runs.some((run) => run.name === chosen)) {
      options.push(h("option", { value: chosen }, `${chosen} (not found)`));
    }
    fill(this.run, options);
    this.run.value = chosen;
  }

  /**
   * Offer example texts.
   * @param {{title: string, text: string}[]} texts
   */
  showExamples(texts) {
    const options = texts.map(({ title, text }) => h("option", { value: text }, title));
    fill(this.examples, h("option", { value: "" }, "choose …"), options);
  }

  /**
   * Show what is looked at.
   * @param {import("./look.js").Look} look
   * @param {Object|undefined} run Of /api/runs.
   */
  show(look, run) {
    this.wrong.hidden = true;
    this.text.removeAttribute("aria-invalid");
    if (document.activeElement !== this.text) this.text.value = look.text;
    this.#showSteps(look.steps.length ? look.steps : [look.step], look.step);
    fill(this.told, `${look.tokens.length} of at most ${look.seq_size} tokens`);
    fill(this.facts, facts(look, run));
  }

  /**
   * Tell why a text can't be looked at; the view keeps the one before.
   * @param {string} problem
   * @param {string|undefined} text
   */
  refuse(problem, text) {
    fill(this.wrong, problem);
    this.wrong.hidden = false;
    this.text.setAttribute("aria-invalid", "true");
    if (document.activeElement !== this.text && text !== undefined) this.text.value = text;
  }

  #showSteps(steps, step) {
    this.#steps = steps;
    this.step.max = steps.length - 1;
    this.step.value = Math.max(0, steps.indexOf(step));
    this.step.disabled = steps.length < 2;
    this.step.setAttribute("aria-valuetext", `step ${step}`);
    fill(this.stepTold, `step ${step.toLocaleString("en")}`);
  }

  #slide() {
    const step = this.#steps[Number(this.step.value)];
    this.step.setAttribute("aria-valuetext", `step ${step}`);
    fill(this.stepTold, `step ${step.toLocaleString("en")}`);
    state.set({ step });
  }

  #typed() {
    clearTimeout(this.#timer);
    if (!this.text.value) return this.refuse("A model needs at least one token to look at.");
    this.#timer = setTimeout(() => state.set({ text: this.text.value }), PAUSE);
  }

  #example() {
    if (this.examples.value) state.set({ text: this.examples.value, pos: null });
    this.examples.value = "";
  }

  #chooseRun() {
    state.set({ run: this.run.value, step: null, index: null, operand: null }, { push: true });
  }
}

function field(name, input) {
  return h("label", { class: "field" }, h("span", { class: "field-name" }, name), input);
}

function facts(look, run) {
  const { n_layer, n_head, n_embd } = look.sizes;
  const told = [`${look.model}: ${n_layer} layers × ${n_head} heads, ${n_embd} channels`];
  if (look.loss !== null) told.push([" · this text ", data(look.loss), " nats a token"]);
  if (run?.val_loss) told.push([" · validation ", data(run.val_loss)]);
  if (run?.floor) told.push([", its floor ", data(run.floor)]);
  return told;
}
