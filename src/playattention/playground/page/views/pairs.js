/** Next tokens and logits before and after a change, side by side. */

import { h } from "../dom.js";
import { visible } from "../names.js";
import { data, full, percent, short } from "../numbers.js";
import { amount, delta, redraw, signed } from "./cells.js";

const LIKELIEST = 6; // of each, before and after
const MOST_CHANGED = 5;
const ENTRIES = 8;

/**
 * Show the likeliest next tokens, and those whose probability changed most.
 * @param {HTMLElement} element It stands in.
 * @param {{top: Object[]}} now Of /api/losses at a position.
 * @param {{top: Object[]}|null} then The same before; null: nothing is changed.
 * @param {number} token The one whose logit is told apart.
 * @param {function(number)} onPick Called with a token's id.
 */
export function showCandidates(element, now, then, token, onPick) {
  redraw(element, [now.top, then?.top, token], () => candidates(now, then, token, onPick));
}

function candidates(now, then, token, onPick) {
  const rows = then ? paired(now.top, then.top) : now.top.slice(0, LIKELIEST * 2).map((one) => ({ ...one, now: one.probability }));
  const most = Math.max(...rows.map((row) => Math.abs(row.change ?? 0)));
  const body = rows.map((row) => {
    const pick = h("button", { class: "link", type: "button", "aria-pressed": String(row.id === token), dataset: { token: row.id }, onclick: () => onPick(row.id) }, h("code", {}, visible(row)));
    const cells = then
      ? [share(row.then, then.top), share(row.now, now.top), h("td", { class: "right" }, signed(row.change)), h("td", { class: "bar-wide" }, row.change !== null && delta(row.change, most))]
      : [share(row.now, now.top)];
    return h("tr", { class: row.id === token ? "chosen" : null }, h("th", { scope: "row" }, pick, " ", h("small", { class: "hint" }, row.id)), cells);
  });
  const names = then ? ["next token", "before", "after", "change", ""] : ["next token", "probability"];
  return h("div", { class: "wide" }, table(names, body));
}

/** Both lists as one, the likeliest first; null: what is not among those that the server told. */
function paired(now, then) {
  const found = new Map();
  for (const [key, list] of [["now", now], ["then", then]]) {
    for (const { id, text, probability } of list) {
      found.set(id, { id, text, now: null, then: null, ...found.get(id), [key]: probability });
    }
  }
  const change = ({ now: own, then: old }) => (own === null || old === null ? null : own - old);
  const rows = [...found.values()].map((row) => ({ ...row, change: change(row) }));
  const first = (list) => list.slice(0, LIKELIEST).map(({ id }) => id);
  const changed = [...rows].sort((one, other) => Math.abs(other.change) - Math.abs(one.change)).slice(0, MOST_CHANGED);
  const kept = new Set([...first(now), ...first(then), ...changed.map(({ id }) => id)]);
  const size = (row) => Math.max(row.now ?? 0, row.then ?? 0);
  return rows.filter(({ id }) => kept.has(id)).sort((one, other) => size(other) - size(one));
}

function share(probability, top) {
  if (probability === null) return h("td", { class: "share" }, h("span", { class: "hint" }, `below ${short(top.at(-1).probability)}`));
  const told = h("data", { class: "number", value: probability, title: full(probability) }, percent(probability));
  return h("td", { class: "share" }, amount(probability, 1, "probability"), " ", told);
}

/**
 * Show the entries of a logit that changed most.
 * @param {HTMLElement} element It stands in.
 * @param {Object} now Of /api/ledger.
 * @param {Object|null} then The same before.
 * @param {function({layer: number, head: number})} onHead Called with the head of an entry.
 */
export function showLedger(element, now, then, onHead) {
  redraw(element, [now, then], () => sum(now, then, onHead));
}

function sum(now, then, onHead) {
  const before = new Map(then?.entries.map((entry) => [entry.name, entry.amount]));
  const all = now.entries.map((entry) => ({ ...entry, then: before.get(entry.name) ?? null }));
  for (const entry of all) entry.size = then ? entry.amount - (entry.then ?? 0) : entry.amount;
  const rows = [...all].sort((one, other) => Math.abs(other.size) - Math.abs(one.size)).filter(({ size }) => size);
  const [kept, others] = [rows.slice(0, ENTRIES), rows.slice(ENTRIES)];
  const most = Math.abs(kept[0]?.size ?? 0);
  const total = (list, key) => list.reduce((before, entry) => before + (entry[key] ?? 0), 0);
  const line = (title, old, own, bar, kind = null) => h("tr", { class: kind }, h("th", { scope: "row" }, title), then && cell(data(old)), cell(data(own)), then && cell(signed(own - old)), h("td", { class: "bar-wide" }, bar));
  const body = [
    kept.map((entry) => line(named(entry, onHead), entry.then, entry.amount, delta(entry.size, most))),
    others.length ? line(`${others.length} others`, total(others, "then"), total(others, "amount"), delta(total(others, "size"), most)) : null,
    line("remainder", then?.remainder, now.remainder, "", "muted"),
    line("logit", then?.logit, now.logit, "", "total"),
  ];
  const names = then ? ["added by", "before", "after", "change", ""] : ["added by", "to the logit", ""];
  return h("div", { class: "wide" }, table(names, body));
}

function named({ name, layer, head }, onHead) {
  if (head === null) return name;
  return h("button", { class: "link", type: "button", onclick: () => onHead({ layer, head }) }, name);
}

function cell(content) {
  return h("td", { class: "right" }, content);
}

function table(names, body) {
  const head = names.map((name, at) => h(name ? "th" : "td", { scope: name ? "col" : null, class: at ? "right" : null }, name));
  return h("table", { class: "figures" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
}
