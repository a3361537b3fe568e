/** A switch for every head, feed-forward, residual, mask and scale: a row for each layer. */

import { fill, h, rest, roving } from "../dom.js";
import { wordsOf } from "./change_words.js";

/** What can be switched in a layer besides its heads: title, what it is, the words that do it. */
const PARTS = [
  { title: "feed-forward", label: "feed-forward", words: (l) => [`ablate-ff:${l}`, `ablate-ff-mean:${l}`], means: true },
  { title: "attention", label: "residual around attention", words: (l) => [`no-residual:${l}.attention`] },
  { title: "feed-forward", label: "residual around the feed-forward", words: (l) => [`no-residual:${l}.feed_forward`] },
  { title: "mask", label: "causal mask", words: (l) => [`no-mask:${l}`] },
  { title: "scale", label: "scale of the scores", words: (l) => [`no-scale:${l}`] },
];
const GLOBAL = [
  { label: "causal mask in all layers", words: ["no-mask"], title: "mask, all layers" },
  { label: "scale of the scores in all layers", words: ["no-scale"], title: "scale, all layers" },
  { label: "positions", words: ["no-positions"], title: "positions" },
];

/** All switches. */
export class Switchboard {
  #sizes = "";

  /**
   * @param {function({add: string[], drop: string[]}, {layer: number, head: number}|null)} onSwitch
   *     Called with what changes, and the head that it is about, if one.
   */
  constructor(onSwitch) {
    this.onSwitch = onSwitch;
    this.by = h("select", { id: "off-means" }, h("option", { value: "zero" }, "zeros"), h("option", { value: "mean" }, "its mean over this text"));
    this.table = h("div", { class: "wide switches" });
    this.global = h("div", { class: "global-switches", role: "group", "aria-label": "All layers" });
    const by = h("label", { class: "field" }, h("span", { class: "field-name" }, "A head or a feed-forward that is off gives"), this.by);
    this.element = h("div", { class: "switchboard" }, by, this.table, this.global);
    const columns = () => this.table.querySelector("tbody tr")?.querySelectorAll(".switch").length ?? 1;
    roving(this.table, ".switch", { columns });
    roving(this.global, ".switch");
    this.element.addEventListener("click", (event) => this.#click(event));
  }

  /**
   * Show what is on and what is off.
   * @param {{n_layer: number, n_head: number}} sizes
   * @param {string|undefined} change
   * @param {{layer: number, head: number}} chosen
   */
  show(sizes, change, chosen) {
    const key = `${sizes.n_layer} ${sizes.n_head}`;
    if (key !== this.#sizes) this.#build(sizes);
    this.#sizes = key;
    const words = wordsOf(change);
    for (const one of this.element.querySelectorAll(".switch")) {
      const { layer, head, means, words: own } = one.dataset;
      const on = own.split(" ").find((word) => words.includes(word)) ?? scaleOf(own, words);
      const implied = !on && impliedBy(own, words);
      one.setAttribute("aria-checked", String(!on && !implied));
      one.setAttribute("aria-disabled", String(Boolean(implied))); // all layers are changed already
      one.dataset.on = on ?? "";
      one.querySelector(".switch-told").textContent = on || implied ? offWord(on ?? implied, means) : "on";
      one.classList.toggle("chosen", Number(layer) === chosen.layer && Number(head) === chosen.head);
    }
  }

  #build({ n_layer: layers, n_head: heads }) {
    const numbers = Array.from({ length: heads }, (_, head) => head);
    const group = [h("td", {}), h("th", { colspan: heads, scope: "colgroup" }, "head"), h("td", {}), h("th", { colspan: 2, scope: "colgroup" }, "residual of"), h("td", { colspan: 2 })];
    const names = [h("td", {}), numbers.map((head) => h("th", { scope: "col" }, head)), PARTS.map(({ title }) => h("th", { scope: "col" }, title))];
    const rows = Array.from({ length: layers }, (_, layer) => row(layer, numbers));
    fill(this.table, h("table", {}, h("thead", {}, h("tr", { class: "switch-group" }, group), h("tr", {}, names)), h("tbody", {}, rows)));
    fill(this.global, GLOBAL.map(({ label, words, title }) => toggle({ label, words, title })));
    rest(this.table, ".switch");
    rest(this.global, ".switch");
  }

  #click(event) {
    const one = event.target.closest(".switch");
    if (!one || one.getAttribute("aria-disabled") === "true") return;
    const words = [...one.dataset.words.split(" "), one.dataset.on].filter(Boolean);
    const { layer, head } = one.dataset;
    const which = head === undefined ? null : { layer: Number(layer), head: Number(head) };
    const add = one.dataset.on ? [] : [words[one.dataset.means && this.by.value === "mean" ? 1 : 0]];
    this.onSwitch({ add, drop: words }, which);
  }
}

/** A scale of the user's own stands in the place of the switch: `scale:0.5@1`, `scale:0.5`. */
function scaleOf(own, words) {
  const [, layer] = own.match(/^no-scale(?::(\d+))?$/) ?? [null, null];
  if (layer === null) return undefined;
  return words.find((word) => word.startsWith("scale:") && word.split("@")[1] === layer);
}

/** The word for all layers that changes this one, too. */
function impliedBy(own, words) {
  const [, kind] = own.match(/^(no-mask|no-scale):\d+$/) ?? [];
  if (!kind) return undefined;
  return words.find((word) => word === kind) ?? (kind === "no-scale" ? scaleOf(kind, words) : undefined);
}

function offWord(word, means) {
  if (word.startsWith("scale:")) return `× ${word.slice(6).split("@")[0]}`;
  return means ? (word.includes("-mean:") ? "mean" : "0") : "off";
}

function row(layer, heads) {
  const cells = heads.map((head) =>
    toggle({ label: `head ${head} of layer ${layer}`, words: [`ablate:${layer}.${head}`, `ablate-mean:${layer}.${head}`], means: true, layer, head }),
  );
  const others = PARTS.map(({ label, words, means }) => toggle({ label: `${label}, layer ${layer}`, words: words(layer), means }));
  return h("tr", {}, h("th", { scope: "row" }, `layer ${layer}`), [...cells, ...others].map((one) => h("td", {}, one)));
}

function toggle({ label, words, means, title, layer, head }) {
  return h(
    "button",
    {
      class: "switch",
      type: "button",
      role: "switch",
      "aria-label": label,
      "aria-checked": "true",
      dataset: { words: words.join(" "), ...(means && { means: "yes" }), ...(head !== undefined && { layer, head }) },
    },
    h("span", { class: "switch-told" }, "on"),
    title && h("span", { class: "switch-title" }, title),
  );
}
