/** One score as a sum: a bar for each part of the model that wrote to the stream. */

import { json } from "../api.js";
import { fill, h } from "../dom.js";
import { visible } from "../names.js";
import { data } from "../numbers.js";
import * as state from "../state.js";

const FIRST = 12;

/** The bars. */
export class LedgerBars {
  #all = false;

  constructor() {
    this.element = h("div", { class: "ledger" });
  }

  /**
   * Take the score of a token apart.
   * @param {import("./index.js").Context} context
   * @param {Object} here Of /api/losses.
   * @param {number} token Its id.
   */
  async show(context, here, token) {
    const { look, signal } = context;
    let found;
    try {
      found = await json("ledger", { ...look.query, pos: here.position, token }, { signal });
    } catch (error) {
      if (!signal.aborted) fill(this.element, h("p", { class: "hint" }, `No ledger: ${error.message}`));
      return;
    }
    this.open = look.logits && (() => context.open(look.logits, [0, here.position, token]));
    if (!signal.aborted) this.#draw(found);
  }

  #draw(found) {
    const { entries, logit, total, remainder, token } = found;
    const kept = this.#all ? entries : largest(entries);
    const others = entries.filter((entry) => !kept.includes(entry));
    const most = Math.max(...entries.map(({ amount }) => Math.abs(amount))) || 1;
    const rest = others.reduce((sum, { amount }) => sum + amount, 0);
    const rows = [
      ...kept.map((entry) => row(name(entry), entry.amount, most)),
      others.length ? row(`the ${others.length} others`, rest, most) : null,
      row("remainder", remainder, most, "rest"),
      h("tr", { class: "sum" }, h("th", { scope: "row" }, this.open ? h("button", { class: "link", type: "button", onclick: this.open }, "logit") : "logit"), h("td", { class: "right" }, data(logit)), h("td", {})),
    ];
    const toggle = h("button", { class: "quiet", type: "button", onclick: () => ((this.#all = !this.#all), this.#draw(found)) }, this.#all ? "the largest only" : `all ${entries.length} parts`);
    const told = ["the logit of ", h("code", {}, visible(token)), " as a sum, with the final norm’s scale held as it was: ", data(total), " with all parts, ", data(logit), " in the model"];
    fill(
      this.element,
      h("div", { class: "section-head" }, h("h2", {}, "Where its score comes from"), entries.length > FIRST + 1 && toggle),
      h("p", { class: "hint" }, told),
      h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Ledger" }, h("table", { class: "terms ledger-table" }, h("tbody", {}, rows))),
    );
  }
}

function largest(entries) {
  if (entries.length <= FIRST + 1) return entries;
  const sizes = entries.map(({ amount }) => Math.abs(amount)).sort((one, other) => other - one);
  const least = sizes[FIRST - 1];
  return entries.filter(({ amount }) => Math.abs(amount) >= least).slice(0, FIRST);
}

function row(told, amount, most, kind = "") {
  const bar = h("i", { class: `signed ${amount < 0 ? "below" : "above"}`, vars: { "--share": Math.min(1, Math.abs(amount) / most) } });
  return h("tr", { class: kind }, h("th", { scope: "row" }, told), h("td", { class: "right" }, data(amount)), h("td", {}, h("span", { class: "axis" }, bar)));
}

/** A head's name selects it. */
function name({ name: told, kind, layer, head }) {
  if (kind !== "head") return told;
  return h("button", { class: "link", type: "button", onclick: () => state.set({ layer, head, value: null, index: null, view: "heads" }) }, told);
}
