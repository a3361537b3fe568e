/** The operands of an explanation: one by one, or side by side as the terms of a sum. */

import { fill, h } from "./dom.js";
import { data, short } from "./numbers.js";

const HEAD = 6; // terms that are shown of a long sum, at its start and at its end
const TAIL = 3;
const FUNCTIONS = ["sqrt", "exp", "ln", "tanh"];

/**
 * @typedef {Object} Links What an operand leads to, if anything.
 * @property {function(Object): function()|null} value
 * @property {function(Object, number): function()} expression Takes its number in the list, too.
 * @property {function(Object): string|null} token Which token an id is.
 */

/**
 * Show the operands that belong to no term.
 * @param {Object} found An explanation.
 * @param {Links} links
 * @returns {HTMLElement|null}
 */
export function operandList(found, links) {
  const own = found.operands.map((operand, place) => [operand, place]).filter(([operand]) => operand.term === null);
  if (!own.length) return null;
  const rows = own.map(([operand, place]) =>
    h(
      "tr",
      {},
      operand.role === "operand" ? h("td", {}) : h("th", { scope: "row" }, operand.role),
      h("td", {}, name(operand, place, links)),
      h("td", { class: "right" }, number(operand, links)),
    ),
  );
  return h("div", { class: "wide" }, h("table", { class: "operands" }, h("tbody", {}, rows)));
}

/**
 * Show the terms of a sum or the entries of a row; of many, the first and the last.
 * @param {Object} found An explanation.
 * @param {Links} links
 * @returns {HTMLElement|null}
 */
export function termTable(found, links) {
  const terms = grouped(found.operands);
  if (!terms.length) return null;
  const added = addition(found, terms);
  const names = terms[0].map((_, at) => common(terms, at));
  const roles = terms[0].map(({ operand }, at) => names[at] ?? operand.role);
  const row = (term) => [
    h("tr", {}, h("th", { scope: "row" }, term[0].operand.term), cells(term, names, links), added && added.cells(term)),
  ];
  const heading = [h("th", { scope: "col" }, "#"), roles.map((role) => h("th", { scope: "col", colspan: 2 }, role)), added && h("th", { scope: "col", colspan: 2 }, added.title)];
  const body = h("tbody", {});
  const table = h("table", { class: "terms" }, h("thead", {}, h("tr", {}, heading)), body);
  const wrapper = h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": `${terms.length} terms` }, table);
  if (terms.length <= HEAD + TAIL + 2) {
    fill(body, terms.map(row));
    return wrapper;
  }
  const all = () => fill(body, terms.map(row));
  const button = h("button", { type: "button", class: "quiet", onclick: () => (all(), wrapper.focus()) }, `show all ${terms.length} terms`);
  const span = 1 + 2 * roles.length + (added ? 2 : 0);
  fill(body, terms.slice(0, HEAD).map(row), h("tr", { class: "more" }, h("td", { colspan: span }, button)), terms.slice(-TAIL).map(row));
  return wrapper;
}

/**
 * Write the formula with the numbers in the place of their names.
 * @param {Object} found An explanation.
 * @returns {string|null} Null where a name is left that has no single number.
 */
export function substituted({ formula, operands, facts }) {
  const numbers = new Map();
  for (const operand of operands) {
    if (operand.term !== null || operand.number === null) continue;
    for (const word of [operand.role, operand.name]) numbers.set(word, operand.number);
  }
  for (const [word, fact] of Object.entries(facts)) {
    if (!Array.isArray(fact)) numbers.set(word, fact);
  }
  if (!formula || !numbers.size || formula.includes("Σ")) return null;
  const words = [...numbers.keys()].sort((one, other) => other.length - one.length).map(literal);
  const pattern = new RegExp(`(?<![\\w.\\]])(?:${words.join("|")})(?![\\w.\\[(])`, "g");
  const line = formula.replaceAll(pattern, (word) => bracketed(short(numbers.get(word))));
  const left = (line.match(/[A-Za-z_][\w.]*/g) ?? []).filter((word) => !FUNCTIONS.includes(word));
  return line === formula || left.length ? null : line;
}

function bracketed(text) {
  return text.startsWith("−") ? `(${text})` : text;
}

function literal(word) {
  return word.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function grouped(operands) {
  const terms = new Map();
  operands.forEach((operand, place) => {
    if (operand.term === null) return;
    if (!terms.has(operand.term)) terms.set(operand.term, []);
    terms.get(operand.term).push({ operand, place });
  });
  return [...terms.values()];
}

/** The name that all operands of a column share: it stands above them, their indices in the cells. */
function common(terms, at) {
  const names = new Set(terms.map((term) => (term[at]?.operand.index.length ? term[at].operand.name : null)));
  const [one] = names;
  return names.size === 1 && one !== null ? h("code", {}, one) : null;
}

function cells(term, names, links) {
  return term.map(({ operand, place }, at) => [
    h("td", {}, name(operand, place, links, names[at] !== null)),
    h("td", { class: "right" }, number(operand, links)),
  ]);
}

/** What each term amounts to, in float64 from the numbers that are shown. */
function addition({ operation, facts }, terms) {
  const amount = amountOf(operation, facts);
  if (!amount) return null;
  const amounts = new Map(terms.map((term) => [term, amount.of(term.map(({ operand }) => asNumber(operand.number)))]));
  const largest = Math.max(...[...amounts.values()].map(Math.abs).filter(Number.isFinite)) || 1;
  return {
    title: amount.title,
    cells: (term) => {
      const found = amounts.get(term);
      const share = Number.isFinite(found) ? Math.abs(found) / largest : 0;
      const bar = h("i", { class: `bar ${found < 0 ? "below" : "above"}`, vars: { "--share": share } });
      return [h("td", { class: "right" }, data(found)), h("td", { class: "bar-cell" }, bar)];
    },
  };
}

function amountOf(operation, facts) {
  if (operation.startsWith("dot product")) {
    return { title: "product", of: (numbers) => numbers.reduce((product, one) => product * one, 1) };
  }
  if (operation === "softmax" && typeof facts.maximum === "number") {
    return { title: "exp(… − maximum)", of: ([one]) => Math.exp(one - facts.maximum) };
  }
  return null;
}

function asNumber(number) {
  return typeof number === "string" ? Number(number.replace("inf", "Infinity")) : number;
}

function name(operand, place, links, above = false) {
  const index = operand.index.length ? `[${operand.index.map((one) => one ?? ":").join(", ")}]` : "";
  const told = h("code", {}, above ? null : operand.name, h("span", { class: "index" }, index));
  const go = { value: links.value, expression: links.expression }[operand.kind]?.(operand, place);
  if (!go) return told;
  return h("button", { class: "link", type: "button", "aria-label": `${operand.name}${index}`, onclick: go }, told);
}

function number(operand, links) {
  const token = links.token(operand);
  if (operand.number === null) return h("span", { class: "hint" }, `whole (${operand.shape.join(", ")})`);
  return [data(operand.number), token && [" ", h("code", { class: "token-word" }, token)]];
}
