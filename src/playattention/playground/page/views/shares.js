/** Which values changed most between two looks; each opens. */

import { h } from "../dom.js";
import { keyOf } from "../names.js";
import { full, percent } from "../numbers.js";
import { openValue } from "../selection.js";
import * as state from "../state.js";
import { amount, redraw } from "./cells.js";
import { brief } from "./other.js";

const MOST = 8;

/**
 * Show the values that changed most.
 * @param {HTMLElement} element It stands in.
 * @param {{shares: Object[], only_first: string[], only_second: string[], reshaped: string[]}|null}
 *     found Of /api/difference.
 * @param {import("../look.js").Look} look Where they open.
 * @param {number} [most] How many.
 */
export function showShares(element, found, look, most = MOST) {
  redraw(element, [look.query, found?.shares.slice(0, 2 * most), most], () => content(found, look, most));
}

function content(found, look, most) {
  const heading = h("h3", {}, "Values that changed most");
  if (!found) return [heading, h("p", { class: "hint" }, "This server does not compare all values.")];
  const changed = found.shares.filter(({ share }) => share > 0);
  const own = changed.filter(({ name }) => !name.startsWith("return")).slice(0, most); // these repeat others
  const rows = own.map((entry) => row(entry, look, own[0].share));
  const told = h("p", { class: "hint" }, "length of the change as a share of the longer of the two");
  const others = [["only here", found.only_first], ["only there", found.only_second], ["of another shape", found.reshaped]]
    .filter(([, titles]) => titles.length)
    .map(([words, titles]) => h("p", { class: "hint" }, `${words}: ${titles.length} values, such as ${titles[0]}`));
  if (!rows.length) return [heading, h("p", { class: "hint" }, "No value changed."), others];
  const table = h("table", { class: "figures" }, h("tbody", {}, rows));
  const counted = h("p", { class: "hint" }, `${changed.length} of ${found.shares.length} values changed`);
  return [heading, told, h("div", { class: "wide" }, table), counted, others];
}

function row(entry, look, longest) {
  const value = look.value(keyOf(entry));
  const open = () => state.set(openValue(look, value));
  const name = h("code", {}, brief(entry));
  const title = value ? h("button", { class: "link", type: "button", onclick: open }, name) : name;
  const share = h("data", { class: "number", value: entry.share, title: full(entry.share) }, percent(entry.share));
  return h("tr", {}, h("th", { scope: "row" }, title), h("td", { class: "right" }, share), h("td", { class: "bar-wide" }, amount(entry.share, longest)));
}
