/** What each token cost, as a table; and what the model holds likely at one position. */

import { fill, h, rest, reveal, roving } from "../dom.js";
import { visible } from "../names.js";
import { data, percent } from "../numbers.js";

const ROWS = 128; // shown at once; a longer text is shown around the selected position
const HEADING = 30; // pixels of the line that stays at the top

/** A table of positions. */
export class LossTable {
  #shown = [];

  /** @param {function(number)} onPick Called with a position. */
  constructor(onPick) {
    this.onPick = onPick;
    this.element = h("div", { class: "losses" });
  }

  /**
   * Show what each token cost.
   * @param {{mean: number|null, positions: Object[]}} found Of /api/losses.
   * @param {number} pos The selected one.
   * @param {import("../look.js").Look} look
   */
  show(found, pos, look) {
    const first = Math.max(0, Math.min(pos - ROWS / 2, found.positions.length - ROWS));
    const wanted = [found, look, first];
    if (wanted.some((one, at) => one !== this.#shown[at])) fill(this.element, table(found, first, look, this.onPick));
    this.#shown = wanted;
    const rows = [...this.element.querySelectorAll("tbody tr")];
    rows.forEach((one, at) => {
      one.classList.toggle("own", first + at === pos);
      if (first + at === pos) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    });
    const own = rows[pos - first];
    rest(this.element, "tbody .link", own.querySelector(".link"));
    reveal(this.element.querySelector(".losses-list"), own, HEADING);
  }
}

function table({ mean, positions }, first, look, onPick) {
  const some = positions.slice(first, first + ROWS);
  const most = Math.max(...positions.map(({ loss }) => loss ?? 0)) || 1;
  const rows = some.map((one) => row(one, most, look, onPick));
  const names = ["position", "token", "next", "loss in nats", h("span", { class: "unseen" }, "bar"), "rank", "probability", "held likeliest"];
  const head = h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)));
  const body = h("tbody", {}, rows);
  roving(body, ".link");
  const list = h("div", { class: "losses-list" }, h("table", { class: "terms" }, h("thead", {}, head), body));
  const more = positions.length > ROWS && h("p", { class: "hint" }, `positions ${first} to ${first + ROWS - 1} of ${positions.length}`);
  const told = mean === null ? "One token alone: nothing to predict yet." : ["mean ", data(mean), " nats a token"];
  return [h("div", { class: "section-head" }, h("h2", {}, "What each token cost"), h("p", { class: "hint" }, told)), list, more];
}

function row({ position, next, loss, probability, rank, top }, most, look, onPick) {
  const best = top[0];
  const right = next && best.id === next.id;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("button", { class: "link", type: "button", "aria-label": `position ${position}`, onclick: () => onPick(position) }, position)),
    h("td", {}, h("code", {}, look.labels[position])),
    h("td", {}, next ? h("code", {}, look.labels[position + 1]) : h("span", { class: "hint" }, "–")),
    h("td", { class: "right" }, loss === null ? "" : data(loss)),
    h("td", { class: "bar-cell" }, loss === null ? "" : h("i", { class: "bar cost", vars: { "--share": loss / most } })),
    h("td", { class: "right" }, rank ?? ""),
    h("td", { class: "right" }, probability === null ? "" : data(probability)),
    h("td", {}, h("code", {}, visible(best)), h("span", { class: "hint" }, ` ${percent(best.probability)}${right ? " ✓" : ""}`)),
  );
}

/**
 * Return the likeliest next tokens at a position, the true one marked.
 * @param {Object} here Of /api/losses.
 * @param {number} token The id whose score is taken apart below.
 * @param {function(number)} onPick Called with an id.
 * @returns {HTMLElement[]}
 */
export function candidates({ position, token: own, next, probability, rank, top }, token, onPick) {
  const all = [...top];
  if (next && !top.some(({ id }) => id === next.id)) all.push({ ...next, probability, rank });
  const rows = all.map((one) => {
    const isTrue = next?.id === one.id;
    const told = isTrue ? `the true one, rank ${rank}` : "";
    const button = h(
      "button",
      { class: "candidate", type: "button", "aria-pressed": String(one.id === token), onclick: () => onPick(one.id) },
      h("code", {}, visible(one)),
      h("small", { class: "hint" }, one.id),
    );
    return [
      h("dt", {}, button),
      h("dd", {}, h("i", { class: "bar above", vars: { "--share": one.probability } }), " ", data(one.probability), h("span", { class: "hint" }, ` ${told}`)),
    ];
  });
  const list = h("dl", { class: "candidates" }, rows);
  return [h("h2", {}, `Next after position ${position} `, h("code", {}, visible(own))), list];
}
