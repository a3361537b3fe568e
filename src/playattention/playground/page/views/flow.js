/** The flow: every value of the forward pass as a card, one of them open beside its source. */

import { json } from "../api.js";
import { fill, h, still } from "../dom.js";
import { Matrix } from "../matrix.js";
import { keyOf, part, variable, visible } from "../names.js";
import { data, percent } from "../numbers.js";
import { openValue } from "../selection.js";
import { showSource } from "../source.js";
import * as state from "../state.js";
import { Lanes, NEXT } from "./flow_lanes.js";

const CANDIDATES = 10;

/** What is drawn; null while another view is open. */
let parts = null;

/** @type {import("./index.js").View} */
export default { id: "flow", title: "Flow", show, hide };

async function show(root, context) {
  parts ??= build(root, context);
  const { look, state: chosen } = context;
  const value = opened(look, chosen);
  const key = value ? keyOf(value) : NEXT;
  parts.context = context;
  parts.lanes.show(context, key);
  await Promise.all([showStage(value, context), parts.lanes.draw(context)]);
}

function hide() {
  parts = null;
}

/** Return the value that is open: the one of the URL, else the attention that is selected. */
function opened(look, chosen) {
  if (chosen.value === NEXT) return null;
  const found = look.value(chosen.value);
  if (found) return found;
  const { layer, head } = chosen;
  const map = look.heads.find((one) => one.layer === layer && one.head === head);
  return (map && look.value(keyOf(map))) ?? look.values.at(-1) ?? null;
}

function build(root, context) {
  const lanes = new Lanes((key) => open(key));
  const matrix = new Matrix();
  context.onHover((what) => what.from === "tokens" && matrix.highlight(what));
  const title = h("div", { class: "stage-title" });
  const body = h("div", { class: "stage-body" });
  const listing = h("div", { class: "stage-source" });
  const stage = h("section", { class: "card open-stage", "aria-label": "The open stage" }, h("div", { class: "stage-grid" }, title, body, listing));
  const hint = "Every value of the forward pass, in the order in which its line ran. Sides are drawn by the root of the sizes.";
  fill(root, h("div", { class: "flow" }, h("div", { class: "flow-lanes" }, h("p", { class: "hint" }, hint), lanes.element), stage));
  return { lanes, matrix, title, body, listing, stage };
}

function open(key) {
  const { look } = parts.context;
  const value = look.value(key);
  state.set(value ? openValue(look, value) : { value: key, index: null, operand: null });
  if (!inSight(parts.stage)) {
    parts.stage.scrollIntoView({ block: "start", behavior: still() ? "auto" : "smooth" });
  }
}

function inSight(element) {
  const { top } = element.getBoundingClientRect();
  return top >= 0 && top < innerHeight * 0.6;
}

async function showStage(value, context) {
  fill(parts.title, heading(value, context));
  if (!value) return showNext(context);
  const { look, signal } = context;
  const { module, function: name } = value;
  if (!parts.body.contains(parts.matrix.element)) fill(parts.body, parts.matrix.element);
  const [listing] = await Promise.all([
    json("source", { ...look.query, module, function: name }, { signal }),
    parts.matrix.show(value, context),
  ]);
  if (!signal.aborted) showSource(parts.listing, listing, value, open);
}

function heading(value, { look, state: chosen }) {
  const kind = value && part(variable(value));
  const name = value ? value.name : "probabilities";
  return [
    h("div", { class: "stage-heading" }, h("h2", { class: kind ? `part-${kind}` : null }, h("code", {}, name)), neighbours()),
    value && h("p", { class: "hint" }, h("code", {}, value.module || "the model"), ` · ${value.file}:${value.line} · `, shape(look, value, chosen.head)),
    value?.meaning && h("p", {}, value.meaning),
    value?.formula && h("p", { class: "formula" }, value.formula),
  ];
}

function shape(look, value, head) {
  const symbols = value.shape.map((_, place) => look.symbol(value, place) ?? "·");
  const shown = look.fixed(value, head);
  const at = shown.some((_, place) => look.isHead(value, place)) ? `, head ${shown.at(-1)} shown` : "";
  if (!value.shape.length) return "one number";
  return `(${symbols.join(", ")}) = (${value.shape.join(", ")})${at}`;
}

/** Buttons to the stage before and the stage after. */
function neighbours() {
  const cards = parts.lanes.cards;
  const place = cards.findIndex((card) => card.getAttribute("aria-pressed") === "true");
  const button = (told, sign, card) =>
    h("button", { class: "quiet", type: "button", disabled: !card, "aria-label": told, onclick: () => open(card.dataset.key) }, sign);
  return h("div", { class: "neighbours" }, button("Stage before", "←", cards[place - 1]), button("Next stage", "→", cards[place + 1]));
}

/** A link to the arithmetic of a token's score. */
function scoreLink({ look, open: openNumber }, pos, id, told) {
  const { logits } = look;
  if (!logits) return told;
  const name = `logit of ${told.textContent}`;
  return h("button", { class: "link", type: "button", "aria-label": name, onclick: () => openNumber(logits, [0, pos, id]) }, told);
}

async function showNext(context) {
  const { look, signal, state: chosen } = context;
  const { positions } = await json("losses", { ...look.query, k: CANDIDATES }, { signal });
  if (signal.aborted) return;
  const { top, token } = positions[chosen.pos];
  const rows = top.map(({ id, text, probability }) => [
    h("dt", {}, scoreLink(context, chosen.pos, id, h("code", {}, visible({ text }))), " ", h("small", { class: "hint" }, id)),
    h("dd", {}, h("i", { class: "bar above", vars: { "--share": probability } }), " ", data(probability), " ", h("span", { class: "hint" }, percent(probability))),
  ]);
  const told = ["softmax of the logits at position ", h("b", {}, chosen.pos), ", after ", h("code", {}, visible(token)), ": the likeliest next tokens. A token opens the arithmetic of its logit."];
  fill(parts.body, h("p", { class: "hint" }, told), h("dl", { class: "candidates" }, rows));
  fill(parts.listing);
}
