/** What is to be trained: a recipe and its settings, each with what the server says against it. */

import { json, post } from "../api.js";
import { fill, h } from "../dom.js";

/** Settings that are shown at first; the others on demand. */
const FEW = ["data.dataset", "train.steps", "train.learning_rate", "train.batch_size", "model.n_layer", "model.n_head", "model.n_embd", "model.seq_size"];

let made = 0;

/** The form. */
export class Form {
  #recipes = null;
  #fields = new Map(); // key -> {setting, input, wrong}

  /** @param {function(Object)} onStart Called with the training that began. */
  constructor(onStart) {
    this.onStart = onStart;
    const changed = () => this.#showRecipe();
    this.recipe = h("select", { id: "train-recipe", onchange: changed });
    this.name = h("input", { id: "train-name", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "recipe and time", "aria-describedby": "train-name-wrong" });
    this.nameWrong = h("p", { id: "train-name-wrong", class: "problem field-wrong", role: "alert", hidden: true });
    this.few = h("div", { class: "settings" });
    this.more = h("div", { class: "settings" });
    this.wrong = h("p", { class: "problem", role: "alert", hidden: true });
    this.button = h("button", { type: "submit", class: "primary" }, "Start training");
    this.rest = h("details", {}, h("summary", {}, "All settings"), this.more);
    this.element = h(
      "form",
      { class: "train-form", novalidate: true, onsubmit: (event) => this.#submit(event) },
      h("div", { class: "settings" }, labelled("Recipe", this.recipe), labelled("Name of the run", this.name, this.nameWrong)),
      this.few,
      this.rest,
      h("div", { class: "buttons" }, this.button, h("span", { class: "hint" }, "It goes on when this page is closed.")),
      this.wrong,
    );
  }

  /** Ask for the recipes, once. */
  async load() {
    if (this.#recipes) return;
    this.#recipes = await json("recipes");
    fill(this.recipe, this.#recipes.map(({ name }) => h("option", { value: name }, name)));
    this.#showRecipe();
  }

  /**
   * Tell what is wrong, at the field that it is about.
   * @param {string|null} problem One line; null: nothing.
   */
  refuse(problem) {
    const fields = [...this.#fields.values(), { setting: { key: "name" }, input: this.name, wrong: this.nameWrong }];
    const about = problem ? fields.find(({ setting }) => isAbout(problem, setting.key)) : null;
    for (const field of fields) mark(field, field === about ? problem : null);
    fill(this.wrong, about ? null : problem);
    this.wrong.hidden = !problem || Boolean(about);
    if (about && this.more.contains(about.input)) this.rest.open = true;
    about?.input.focus();
  }

  #showRecipe() {
    const recipe = this.#recipes.find(({ name }) => name === this.recipe.value);
    this.#fields.clear();
    const [few, more] = [[], []];
    for (const setting of recipe.settings) {
      const field = this.#field(setting);
      this.#fields.set(setting.key, field);
      (FEW.includes(setting.key) ? few : more).push(field.element);
    }
    fill(this.few, few);
    fill(this.more, more);
    this.refuse(null);
  }

  #field(setting) {
    const id = `train-${++made}`;
    const input = inputFor(setting, id);
    const wrong = h("p", { id: `${id}-wrong`, class: "problem field-wrong", role: "alert", hidden: true });
    const name = h("code", {}, setting.key.split(".")[1]);
    const offered = setting.type === "choice" ? null : setting.choices;
    const list = offered && h("datalist", { id: `${id}-list` }, offered.map((one) => h("option", { value: one })));
    const help = setting.help && h("small", { class: "hint", id: `${id}-help` }, setting.help);
    return { setting, input, wrong, element: labelled(name, [input, list], wrong, help) };
  }

  async #submit(event) {
    event.preventDefault();
    if (this.button.disabled) return;
    this.button.disabled = true;
    this.refuse(null);
    const settings = {};
    for (const { setting, input } of this.#fields.values()) {
      const given = read(setting, input);
      if (given !== setting.default) settings[setting.key] = given;
    }
    try {
      const job = await post("jobs", { recipe: this.recipe.value, name: this.name.value || null, settings });
      this.name.value = "";
      this.onStart(job);
    } catch (error) {
      this.refuse(error.message);
    } finally {
      this.button.disabled = false;
    }
  }
}

function labelled(name, input, ...after) {
  return h("div", { class: "setting" }, h("label", {}, h("span", { class: "field-name" }, name), input), after);
}

function inputFor(setting, id) {
  const { type, choices, minimum, help, default: otherwise } = setting;
  const told = { id, "aria-describedby": `${id}-wrong${help ? ` ${id}-help` : ""}` };
  if (type === "choice") {
    const options = choices.map((one) => h("option", { value: one, selected: one === otherwise }, one));
    return h("select", told, options);
  }
  if (type === "bool") return h("input", { ...told, type: "checkbox", checked: otherwise });
  if (type === "str") return h("input", { ...told, type: "text", value: otherwise ?? "", list: choices ? `${id}-list` : null, spellcheck: "false" });
  return h("input", { ...told, type: "number", step: type === "int" ? 1 : "any", min: minimum, value: otherwise ?? "" });
}

function read({ type, default: otherwise }, input) {
  if (type === "bool") return input.checked;
  if (type === "choice" || type === "str") return input.value === "" && otherwise === null ? null : input.value;
  if (input.value !== "") return Number(input.value);
  // What is no number the browser gives as "": the server shall say so.
  return input.validity.badInput || otherwise !== null ? "" : null;
}

/** Errors begin with what they are about, as the server or the command line calls it. */
function isAbout(problem, key) {
  const name = key.split(".").at(-1);
  return new RegExp(`^(?:settings\\.|body\\.)?(?:\\w+\\.)*${name}\\b`).test(problem);
}

function mark({ input, wrong }, problem) {
  fill(wrong, problem);
  wrong.hidden = !problem;
  if (problem) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}
