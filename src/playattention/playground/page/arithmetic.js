/**
 * Where one number comes from: its operands, the formula, the line of source, and the result once
 * more in float64. Operands are links: they open their own arithmetic.
 */

import { json } from "./api.js";
import { announce, fill, h } from "./dom.js";
import { keyOfTitle, visible } from "./names.js";
import { data, full, short } from "./numbers.js";
import { openNumber } from "./selection.js";
import { code } from "./source.js";
import * as state from "./state.js";
import { operandList, substituted, termTable } from "./terms.js";

const FIRST = 2000; // operands that are asked for at first
const MOST = 20000;

const NOTES = {
  softmax: "The maximum is taken off first: the shares stay the same, and no exp grows too large.",
};

/** The panel. */
export class Arithmetic {
  #trail = [];
  #opener = null;
  #look = null;
  #takesFocus = false;

  /** @param {HTMLElement} element It stands in; hidden while no number is open. */
  constructor(element) {
    this.element = element;
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !element.hidden && !event.defaultPrevented) this.close();
    });
  }

  /** Close it; the focus goes back to where it was opened. */
  close() {
    state.set({ index: null, operand: null });
  }

  /**
   * Show the number that is selected, if one is.
   * @param {import("./look.js").Look} look
   * @param {Object} chosen The state.
   * @param {AbortSignal} signal
   */
  async show(look, chosen, signal) {
    this.#look = look;
    const value = look.value(chosen.value);
    if (chosen.index === undefined || !value) return this.#hide();
    const { index, operand } = chosen;
    this.#remember();
    if (!fits(index, value.shape)) {
      const told = `${value.title} has no cell ${index} in this text: its shape is ${value.shape.join(" × ")}.`;
      return this.#open(h("p", { class: "problem" }, told));
    }
    this.#walk({ value: chosen.value, index, operand: operand ?? null });
    const { module, name, occurrence } = value;
    const query = { ...look.query, module, name, occurrence, index, operand, count: FIRST };
    try {
      const found = await json("explain", query, { signal });
      this.#open(this.#told(value, found, query));
      announce(`${found.title} ${found.index.join(", ")} is ${full(found.number)}`);
    } catch (error) {
      if (!signal.aborted) this.#open(h("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  /** Note where the focus is before the view is drawn anew, and so where it goes back to. */
  #remember() {
    const { activeElement } = document;
    if (this.element.contains(activeElement)) this.#takesFocus = true;
    else {
      const typing = activeElement.matches("input, textarea, select");
      this.#takesFocus = this.element.hidden && activeElement !== document.body && !typing;
      if (activeElement !== document.body) this.#opener = activeElement;
    }
  }

  #walk(place) {
    const same = (other) => other && JSON.stringify(other) === JSON.stringify(place);
    if (same(this.#trail.at(-1))) return;
    if (same(this.#trail.at(-2))) this.#trail.pop();
    else this.#trail.push(place);
  }

  #open(content) {
    const { element } = this;
    element.hidden = false;
    document.body.classList.add("with-arithmetic");
    fill(element, this.#head(), content);
    if (!this.#takesFocus) return;
    element.scrollTop = 0;
    element.focus({ preventScroll: true });
  }

  #hide() {
    const { element } = this;
    if (element.hidden) return;
    const inside = element.contains(document.activeElement);
    element.hidden = true;
    document.body.classList.remove("with-arithmetic");
    this.#trail = [];
    const back = this.#opener?.isConnected ? this.#opener : document.getElementById("view");
    if (inside) back.focus({ preventScroll: true });
    element.replaceChildren();
  }

  #head() {
    const before = this.#trail.at(-2);
    const back = h(
      "button",
      { class: "quiet", type: "button", disabled: !before, onclick: () => state.set(before) },
      "← Back",
    );
    const close = h("button", { class: "quiet", type: "button", onclick: () => this.close() }, "Close ×");
    return h("div", { class: "arithmetic-head" }, back, h("span", { class: "field-name" }, "Arithmetic"), close);
  }

  #told(value, found, query) {
    const own = query.operand === undefined;
    return h(
      "div",
      { class: "arithmetic-body", dataset: { title: found.title, index: found.index.join(",") } },
      title(found),
      own && h("p", { class: "hint" }, place(this.#look, value, found.index)),
      h("p", { class: "arithmetic-number" }, data(found.number, "big"), h("span", { class: "digits" }, full(found.number))),
      own && value.meaning && h("p", {}, value.meaning),
      h("h3", {}, found.operation),
      found.formula && h("p", { class: "formula" }, found.formula),
      NOTES[found.operation] && h("p", { class: "hint" }, NOTES[found.operation]),
      withNumbers(found),
      this.#operands(found, query),
      facts(found.facts),
      result(found),
      found.source && source(found),
    );
  }

  #operands(found, query) {
    const links = {
      value: (operand) => this.#go(operand),
      expression: (operand, place) => this.#deeper(place, query.operand),
      token: (operand) => this.#token(operand),
    };
    const terms = h("div", {}, operandList(found, links), termTable(found, links));
    if (found.total > found.operands.length) {
      const more = h("button", { type: "button", onclick: async () => {
        const all = await json("explain", { ...query, count: MOST });
        terms.replaceWith(this.#operands(all, query));
      } }, `fetch all ${found.total} operands`);
      terms.append(h("p", { class: "hint" }, `${found.operands.length} of ${found.total} operands. `, more));
    }
    return terms;
  }

  /** Open an operand that is a number of a value. */
  #go(operand) {
    const value = this.#look.value(keyOfTitle(operand.path));
    if (!value || operand.at === null || operand.at.includes(null)) return null;
    return () => state.set(openNumber(this.#look, value, operand.at));
  }

  /** Open an operand that is a part of the expression. */
  #deeper(place, before) {
    return () => state.set({ operand: before === undefined ? String(place) : `${before},${place}` });
  }

  /** Say which token an id is. */
  #token(operand) {
    const position = operand.at?.at(-1);
    const token = operand.path === "targets" ? this.#look.tokens[position + 1] : this.#look.tokens[position];
    return operand.kind === "input" && token?.id === operand.number ? visible(token) : null;
  }
}

function fits(index, shape) {
  const cell = index === "" ? [] : index.split(",");
  return cell.length === shape.length && cell.every((place, at) => Number(place) < shape[at]);
}

function title(found) {
  const [, module, name] = found.title.match(/^([\w.]*):(.*)$/s) ?? [null, "", found.title];
  const index = found.index.length ? h("span", { class: "index" }, `[${found.index.join(", ")}]`) : "";
  return h("div", {}, h("p", { class: "hint" }, h("code", {}, module)), h("h2", { id: "arithmetic-title" }, h("code", {}, name, index)));
}

function place(look, value, index) {
  const parts = index.map((number, dimension) => {
    const { symbol, labels } = look.axis(value, dimension);
    const word = labels ? [" ", h("code", {}, labels[number])] : "";
    return symbol === "B" ? null : [h("span", { class: "place" }, `${symbol ?? `dimension ${dimension}`} ${number}`, word), " "];
  });
  return parts;
}

function withNumbers(found) {
  const line = substituted(found);
  return line && h("p", { class: "formula with-numbers" }, `= ${line}`);
}

function facts(all) {
  const entries = Object.entries(all);
  if (!entries.length) return null;
  const rows = entries.map(([name, fact]) => [h("dt", {}, name), h("dd", {}, Array.isArray(fact) ? list(fact) : data(fact))]);
  return [h("h3", {}, "On the way"), h("dl", { class: "facts-list" }, rows)];
}

function list(numbers) {
  const one = (number) => (Array.isArray(number) ? `(${number.join(", ")})` : data(number));
  const some = (kept) => kept.map((number) => [one(number), "  "]);
  if (numbers.length <= 6) return some(numbers);
  return h("details", {}, h("summary", {}, `${numbers.length} numbers`), some(numbers));
}

function result(found) {
  if (found.result === null) return h("p", { class: "problem" }, `Not explained: ${found.note}`);
  const error = h("data", { value: found.error, title: full(found.error) }, short(found.error));
  return h(
    "p",
    { class: "result" },
    h("span", { class: "digits" }, "= ", h("data", { class: "result-number", value: found.result }, full(found.result))),
    h("span", { class: "hint" }, "in float64; ", error, " from the model’s number"),
  );
}

function source({ file, line, source: text }) {
  return h(
    "div",
    { class: "source-line" },
    h("p", { class: "hint" }, `${file}:${line}`),
    h("pre", { tabindex: 0 }, h("code", {}, code(text))),
  );
}

