/** How one token was drawn: its candidates column by column; and what the cache takes meanwhile. */

import { fill, h } from "../dom.js";
import { visible } from "../names.js";
import { data, percent } from "../numbers.js";

const COLUMNS = ["token", "logit", "÷ T", "softmax", "filter", "probability"];
const FIRST = 12;

/** The candidates. */
export class Candidates {
  #all = false;

  /** @param {function(Object)} onLogit Called with a candidate whose logit is to be explained. */
  constructor(onLogit) {
    this.onLogit = onLogit;
    this.element = h("div", { class: "drawing" });
  }

  /**
   * Show how a token is drawn.
   * @param {Object} answer Of /api/generate.
   * @param {{title: string, settings: Object, revealed: boolean, explains: boolean}} told
   */
  show(answer, told) {
    const { title, settings, revealed, explains } = told;
    const { candidates, drawn, rest, kept } = answer;
    const place = candidates.findIndex(({ id }) => id === drawn.id);
    const some = this.#all ? candidates : candidates.filter((_, at) => at < FIRST || (revealed && at === place));
    const rows = some.map((one) => this.#row(one, revealed && one.id === drawn.id, explains));
    const hidden = candidates.length - some.length;
    const more = hidden > 0 && h("button", { type: "button", class: "quiet", onclick: () => ((this.#all = true), this.show(answer, told)) }, `show ${hidden} more`);
    const table = h(
      "table",
      { class: "candidates-table" },
      h("caption", {}, title),
      h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows, rest.count ? restRow(rest) : null),
    );
    const words = `${kept} of ${candidates.length + rest.count} tokens stay${passed(settings)}`;
    fill(
      this.element,
      h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Candidates" }, table),
      h("p", { class: "hint" }, words, more && [" · ", more]),
    );
  }

  #row(one, isDrawn, explains) {
    const number = data(one.logit);
    const logit = explains
      ? h("button", { class: "link", type: "button", title: `Arithmetic of the logit of ${one.text}`, onclick: () => this.onLogit(one) }, number)
      : number;
    return h(
      "tr",
      { class: `${isDrawn ? "drawn" : ""} ${one.kept ? "" : "cut"}`, dataset: { id: one.id } },
      h("th", { scope: "row" }, h("code", {}, visible(one)), " ", h("small", { class: "kind" }, one.id), isDrawn && h("b", { class: "drawn-told" }, " drawn")),
      h("td", {}, logit),
      h("td", {}, data(one.tempered_logit)),
      h("td", {}, bar(one.tempered), data(one.tempered)),
      h("td", {}, one.kept ? "kept" : "cut"),
      h("td", {}, bar(one.probability), data(one.probability)),
    );
  }
}

/**
 * Show what keys and values are kept.
 * @param {Element} element It stands in.
 * @param {Object} answer Of /api/generate.
 * @param {{n_embd: number}} sizes
 * @param {string} change What the model is changed by.
 */
export function showCache(element, answer, sizes, change) {
  const { cache, seen } = answer;
  if (!cache) {
    const why = change ? "With this change" : "In this model";
    return fill(element, h("h2", {}, "Cache"), h("p", {}, `${why} nothing can be kept: all ${seen} tokens are read anew for each one.`));
  }
  const { tokens, bytes, bytes_per_token, capacity, layers } = cache;
  const numbers = 2 * layers * sizes.n_embd;
  const each = bytes_per_token / numbers;
  const formula = Number.isInteger(each)
    ? ` = 2 (a key and a value) × ${layers} layers × ${sizes.n_embd} channels × ${each} bytes`
    : "";
  const full = tokens >= capacity;
  fill(
    element,
    h("h2", {}, "Keys and values that are kept"),
    h("meter", { min: 0, max: capacity, value: tokens, "aria-label": `${tokens} of ${capacity} places of the cache` }),
    h("p", {}, h("b", {}, `${tokens} of ${capacity}`), " tokens, ", h("b", { class: "cache-bytes", dataset: { bytes } }, inBytes(bytes)), ` of ${inBytes(bytes_per_token * capacity)}`),
    h("p", { class: "hint" }, `Each token adds ${bytes_per_token.toLocaleString("en")} bytes${formula}.`),
    full && h("p", { class: "hint" }, "It is full: the oldest token leaves the text, all others move up, and keys and values are worked out anew."),
  );
}

function restRow({ count, tempered, probability }) {
  return h(
    "tr",
    { class: "rest" },
    h("th", { scope: "row" }, `${count} others`),
    h("td", {}),
    h("td", {}),
    h("td", {}, bar(tempered), data(tempered)),
    h("td", {}),
    h("td", {}, bar(probability), data(probability)),
  );
}

function passed({ temperature, top_k, top_p }) {
  if (temperature === 0) return "; T = 0 takes the likeliest";
  const words = [top_k && `top-k ${top_k}`, top_p && `top-p ${percent(top_p)}`].filter(Boolean);
  return words.length ? ` after ${words.join(" and ")}` : "; no filter is set";
}

function bar(share) {
  return h("span", { class: "bar-room" }, h("i", { class: "bar", vars: { "--share": share } }));
}

function inBytes(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 2 ** 20) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
