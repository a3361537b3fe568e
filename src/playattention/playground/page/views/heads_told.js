/** What is told of a head in words: whom it looks at, and which roles it has. */

import { h } from "../dom.js";
import { data, percent } from "../numbers.js";

const SHOWN = 6;

/**
 * Tell whom a token looks at most; each weight opens its arithmetic.
 * @param {import("./index.js").Context} context
 * @param {Float32Array} weights Of the selected position, one for each token.
 * @param {function(number)} onOpen Called with the position looked at.
 * @returns {HTMLElement[]}
 */
export function lookedAt({ look, state: { pos } }, weights, onOpen) {
  const order = [...weights.keys()].sort((one, other) => weights[other] - weights[one]);
  const some = order.filter((place) => weights[place] > 0).slice(0, SHOWN);
  const rest = order.slice(some.length).reduce((sum, place) => sum + weights[place], 0);
  const rows = some.map((place) => [
    h("dt", {}, h("button", { class: "link", type: "button", onclick: () => onOpen(place) }, `${place} `, h("code", {}, look.labels[place]))),
    h("dd", {}, h("i", { class: "bar above", vars: { "--share": weights[place] } }), " ", data(weights[place])),
  ]);
  const heading = ["From position ", pos, " ", h("code", {}, look.labels[pos]), " it looks at"];
  const others = rest > 0 ? h("p", { class: "hint" }, `all others together: ${percent(rest)}`) : null;
  return [h("h3", {}, heading), h("dl", { class: "candidates" }, rows), others];
}

/**
 * Return the clear role of each head, for its map.
 * @param {{roles: Object[]}} found Of /api/roles.
 * @returns {Map<string, string>}
 */
export function rolesOf({ roles }) {
  const names = new Map();
  const clear = roles.filter((role) => role.clear).sort((one, other) => other.share - one.share);
  for (const { layer, head, pattern } of clear) {
    const key = `${layer},${head}`;
    if (!names.has(key)) names.set(key, pattern);
  }
  return names;
}

/**
 * Return one head's scores in all patterns, beside what chance gives.
 * @param {{text: string, patterns: Object<string, string>, roles: Object[]}} found Of /api/roles.
 * @param {number} layer
 * @param {number} head
 * @returns {HTMLElement[]}
 */
export function roleTable({ text, windows, patterns, roles }, layer, head) {
  const own = roles.filter((role) => role.layer === layer && role.head === head);
  const rows = own.map((role) =>
    h(
      "tr",
      { class: role.clear ? "clear" : null },
      h("th", { scope: "row" }, h("code", {}, role.pattern), h("div", {}, patterns[role.pattern])),
      h("td", { class: "right" }, data(role.score)),
      h("td", { class: "right" }, data(role.chance)),
      h("td", {}, role.clear ? "clear" : ""),
    ),
  );
  const columns = ["Looks at", "share of its attention", "chance", "role"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { class: "terms" }, h("thead", {}, h("tr", {}, columns)), h("tbody", {}, rows));
  return [
    h("h3", {}, `Layer ${layer}, head ${head}`),
    h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Scores of this head" }, table),
    h("p", { class: "hint" }, `Measured on ${windows} windows: ${text}. Chance: the most that untrained heads, even attention, or distance alone would give.`),
  ];
}
