/** One number's way through a step of AdamW, line by line. */

import { fill, h } from "../dom.js";
import { data, full, short } from "../numbers.js";

/** What each line does, and what it is called. */
const LINES = {
  clipped: ["gradient, shortened", "All gradients together are cut to the length that training allows."],
  first: ["first moment", "A running mean of the gradients: the direction."],
  second: ["second moment", "A running mean of their squares: how large they usually are."],
  first_corrected: ["first, corrected", "It began at 0 and would be too small in the first steps."],
  second_corrected: ["second, corrected", "So did this."],
  decayed: ["weight, decayed", "Pulled towards 0 a little, whatever the gradient says."],
  change: ["change", "Against the gradient, by about the learning rate, whatever its size."],
  new: ["new weight", "What the next step begins with."],
};

/**
 * Show a step.
 * @param {HTMLElement} element It stands in.
 * @param {Object} found Of /api/adamw.
 */
export function showStep(element, found) {
  const { name, index, numbers, lines } = found;
  const rows = lines.map(({ name: key, text }) => {
    const [title, words] = LINES[key] ?? [key.replaceAll("_", " "), ""];
    return h(
      "tr",
      { class: key === "new" ? "total" : null },
      h("th", { scope: "row" }, title, h("span", { class: "hint line-words" }, words)),
      h("td", { class: "arithmetic-text" }, h("code", {}, pretty(text))),
      h("td", { class: "right" }, exact(numbers[key])),
    );
  });
  const heading = h("thead", {}, h("tr", {}, ["", "arithmetic", "number"].map((one, at) => h(one ? "th" : "td", { scope: one ? "col" : null, class: at === 2 ? "right" : null }, one))));
  const table = h("table", { class: "figures steps" }, heading, h("tbody", {}, rows));
  const scroll = h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "The step, line by line" }, table);
  fill(element, summary(name, index, numbers), facts(found), scroll);
}

function summary(name, index, numbers) {
  return h(
    "p",
    { class: "step-summary" },
    h("code", {}, `${name}[${index.join(", ")}]`),
    " is ",
    exact(numbers.weight),
    "; its gradient ",
    exact(numbers.gradient),
    " makes it ",
    exact(numbers.new),
    ".",
  );
}

function facts({ step, rate, betas, eps, norm, factor, decay }) {
  const entries = [
    ["step", step],
    ["learning rate", rate],
    ["β₁, β₂", betas],
    ["ε", eps],
    ["weight decay", decay],
    ["length of all gradients", norm],
    ["shortened ×", factor],
  ];
  const rows = entries.map(([title, fact]) => h("div", {}, h("dt", {}, title), h("dd", {}, [fact].flat().map((one, at) => [at ? ", " : "", data(one)]))));
  return h("dl", { class: "step-facts" }, rows);
}

function exact(number) {
  return h("data", { class: "number", value: number, title: full(number) }, short(number));
}

/** Signs as they are printed. */
function pretty(text) {
  return text.replaceAll(" * ", " × ").replaceAll("-", "−").replaceAll("sqrt", "√").replaceAll(/\^2(?!\d)/g, "²");
}
