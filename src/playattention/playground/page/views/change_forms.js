/** Changes that need a number: another scale, two tokens exchanged, a row of attention. */

import { tensor } from "../api.js";
import { fill, h } from "../dom.js";
import { rowWords, wordsOf } from "./change_words.js";
import { headMap } from "./other.js";

const NUMBER = /^-?\d{1,6}(?:\.\d{0,12})?(?:e[+-]?\d{1,2})?$/;

/** The forms. */
export class Forms {
  #context = null;
  #own = [];

  /** @param {function({add: string[], drop: string[]})} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.factor = input("number", { step: "any", value: 0.5, id: "scale-factor" });
    this.layer = h("select", { id: "scale-layer" });
    this.one = input("number", { min: 0, id: "swap-one" });
    this.two = input("number", { min: 0, id: "swap-two" });
    this.row = input("text", { id: "look-row", spellcheck: "false", autocomplete: "off", "aria-describedby": "look-told" });
    this.told = h("p", { id: "look-told", class: "hint" });
    this.wrong = h("p", { class: "problem", role: "alert", hidden: true });
    this.where = h("span", {});
    this.element = h("div", { class: "change-forms" }, this.#scale(), this.#swap(), this.#look(), this.wrong);
  }

  /**
   * Follow what is selected.
   * @param {import("./index.js").Context} context
   */
  async show(context) {
    const { look, state: chosen, signal } = context;
    const { layer, head, pos } = chosen;
    const place = `${look.run} ${look.step} ${look.text} ${layer}.${head}.${pos}`;
    this.#context = context;
    this.wrong.hidden = true;
    const layers = Array.from({ length: look.sizes.n_layer }, (_, one) => h("option", { value: one }, `layer ${one}`));
    if (this.layer.options.length !== layers.length + 1) fill(this.layer, h("option", { value: "" }, "all layers"), layers);
    this.one.max = this.two.max = look.tokens.length - 1;
    if (this.place === place) return;
    this.one.value = Math.max(0, pos - 1);
    this.two.value = pos;
    const map = headMap(look, chosen);
    this.#own = map ? await ownRow(look, map, head, pos, signal) : [];
    if (signal.aborted) return;
    this.place = place;
    fill(this.where, `head ${layer}.${head} from position ${pos} ‘${look.labels[pos]}’`);
    this.row.value = rowWords(this.#own);
    fill(this.told, `weights on positions 0, 1, 2 …; the rest 0. They need not sum to 1. Now: ${map ? "its own" : "unknown"}.`);
  }

  #scale() {
    const apply = button("Apply", () => {
      const layer = this.layer.value;
      const number = Number(this.factor.value);
      if (!NUMBER.test(String(number)) || this.factor.value === "") return this.#refuse("A scale is a number, such as 0.5.");
      const own = wordsOf(this.#context.look.change).filter((word) => word.startsWith("scale:") && (word.split("@")[1] ?? "") === layer);
      this.onChange({ add: [`scale:${number}${layer && `@${layer}`}`], drop: own });
    });
    return form("Multiply the scores by", this.factor, "in", this.layer, apply);
  }

  #swap() {
    const apply = button("Exchange", () => {
      const [one, two] = [this.one, this.two].map((field) => Number(field.value));
      const size = this.#context.look.tokens.length;
      if (![one, two].every((place) => Number.isInteger(place) && place >= 0 && place < size)) {
        return this.#refuse(`Positions go from 0 to ${size - 1}.`);
      }
      if (one === two) return this.#refuse("These are the same position: nothing would change.");
      this.onChange({ add: [`swap:${one}.${two}`], drop: [] });
    });
    return form("Exchange tokens", this.one, "and", this.two, apply);
  }

  #look() {
    const set = (row) => () => (this.row.value = rowWords(row()));
    const pos = () => this.#context.state.pos;
    const presets = [
      button("its own", set(() => this.#own)),
      button("itself alone", set(() => Array.from({ length: pos() + 1 }, (_, at) => Number(at === pos())))),
      button("the one before", set(() => Array.from({ length: pos() + 1 }, (_, at) => Number(at === Math.max(0, pos() - 1))))),
      button("all alike", set(() => Array(pos() + 1).fill(1 / (pos() + 1)))),
    ];
    const apply = button("Replace", () => this.#replace());
    const line = form(["Let ", this.where, " look with"], this.row, apply);
    line.classList.add("look-form");
    return h("div", { class: "look-row", role: "group", "aria-label": "A row of attention" }, line, h("div", { class: "presets", role: "group", "aria-label": "Fill in" }, h("span", { class: "hint" }, "fill in:"), presets), this.told);
  }

  #replace() {
    const { look, state: chosen } = this.#context;
    const numbers = this.row.value.split(/[\s,]+/).filter(Boolean);
    if (!numbers.length || !numbers.every((number) => NUMBER.test(number))) return this.#refuse("Weights are numbers with commas between them: 0.5, 0, 0.5.");
    if (numbers.length > look.tokens.length) return this.#refuse(`${numbers.length} weights: the text has ${look.tokens.length} positions.`);
    const start = `look:${chosen.layer}.${chosen.head}.${chosen.pos}=`;
    const drop = wordsOf(look.change).filter((word) => word.startsWith(start));
    this.onChange({ add: [start + numbers.join(",")], drop });
  }

  #refuse(words) {
    fill(this.wrong, words);
    this.wrong.hidden = false;
  }

  /**
   * Tell why the server refused a change.
   * @param {string} words
   */
  refuse(words) {
    this.#refuse(words);
  }
}

/** The row that the head has without any change. */
async function ownRow(look, { module, name, occurrence }, head, pos, signal) {
  const value = look.value(`${module}:${name}:${occurrence}`);
  const index = [...look.fixed(value, head), pos].join(",");
  const { data } = await tensor("tensor", { ...look.query, change: "", module, name, occurrence, index }, { signal });
  return [...data];
}

function input(type, attributes) {
  return h("input", { type, ...attributes });
}

function button(name, onclick) {
  return h("button", { type: "button", onclick }, name);
}

/** Words and fields in one line; a word names the field after it. */
function form(...items) {
  let words = null;
  const line = [];
  for (const item of items) {
    if (item instanceof HTMLElement && item.matches("input, select") && words) {
      line.push(h("label", { class: "field" }, h("span", { class: "field-name" }, words), item));
      words = null;
    } else if (item instanceof HTMLElement) line.push(item);
    else words = item;
  }
  const submit = line.at(-1);
  const element = h("div", { class: "change-form", role: "group" }, line);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) submit.click();
  });
  return element;
}
