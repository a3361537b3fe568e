/** What if: parts of the model switched off or replaced; before and after side by side. */

import { json } from "../api.js";
import { announce, fill, h } from "../dom.js";
import { look as lookAt } from "../look.js";
import { visible } from "../names.js";
import { data } from "../numbers.js";
import { choose } from "../selection.js";
import * as state from "../state.js";
import { problem, signed } from "./cells.js";
import { Forms } from "./change_forms.js";
import { changed, wordsOf } from "./change_words.js";
import { Compare } from "./compare.js";
import { bothMatrices, otherLook, shares, shownValue, ValuePicker } from "./other.js";
import { showCandidates, showLedger } from "./pairs.js";
import { showShares } from "./shares.js";
import { Switchboard } from "./switchboard.js";

const CANDIDATES = 50; // the most that the server tells
const NAMES = { now: "after", then: "before" };

/** What is drawn; null while another view is open. */
let parts = null;

/** @type {import("./index.js").View} */
export default { id: "what-if", title: "What if", show, hide };

async function show(root, context) {
  parts ??= build(root, context);
  parts.context = context;
  const { look, state: chosen, signal } = context;
  const on = wordsOf(look.change).length > 0;
  parts.board.show(look.sizes, look.change, chosen);
  parts.element.classList.toggle("on", on);
  fill(parts.state, on ? "The model runs with these changes; everything below compares it with itself as it was." : "Nothing is changed: this is the model as it is. Switch something off.");
  const before = on ? await otherLook(look, { change: "" }, signal) : null;
  if (signal.aborted) return;
  showLoss(look, before);
  await Promise.all([
    showNext(look, before, chosen, signal),
    showMaps(look, before, context),
    showChanged(look, before, signal),
    parts.forms.show(context),
  ]);
}

function hide() {
  parts = null;
}

function build(root, context) {
  const names = ["state", "loss", "candidates", "ledger", "ledgerTitle", "refused"];
  const made = Object.fromEntries(names.map((name) => [name, h("div", {})]));
  made.board = new Switchboard((patch, which) => apply(patch, which));
  made.forms = new Forms((patch) => apply(patch, null));
  made.picker = new ValuePicker();
  made.shares = h("section", { class: "shares" });
  made.compare = new Compare(made.shares);
  context.onHover((what) => what.from === "tokens" && made.compare.highlight(what));
  made.element = h("div", { class: "what-if" }, controls(made), effects(made), maps(made));
  fill(root, made.element);
  return made;
}

function controls({ state: told, board, forms }) {
  told.className = "hint";
  return card("Switches", told, h("div", { class: "controls" }, board.element, forms.element));
}

function effects({ loss, candidates, ledger, ledgerTitle }) {
  const next = h("section", { "aria-label": "Next token" }, h("h3", {}, "What comes next"), loss, candidates);
  const sum = h("section", { "aria-label": "Where the logit comes from" }, ledgerTitle, ledger);
  return h("section", { class: "card", "aria-label": "Effect" }, h("h2", {}, "Effect"), h("div", { class: "effects" }, next, sum));
}

function maps({ picker, refused, compare }) {
  const head = h("div", { class: "card-head" }, h("h2", {}, "Before and after"), picker.element);
  return h("section", { class: "card", "aria-label": "Before and after" }, head, refused, compare.element);
}

function card(title, ...children) {
  return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
}

let applied = Promise.resolve();

/** Change the model; of changes that come fast, each begins with what the one before made. */
function apply(patch, which) {
  applied = applied.then(() => parts && tryChange(patch, which));
}

/** Change the model, once the server has found that it can be changed so. */
async function tryChange(patch, which) {
  const { look } = parts.context;
  const change = changed(state.get().change, patch);
  const { run, step, text } = look;
  try {
    const found = await lookAt({ run, step, text, change }, undefined);
    state.set({ ...(which ? choose(look, state.get(), which) : {}), change }, { push: true });
    announce(`loss ${found.loss ?? "unknown"}`);
  } catch (error) {
    parts?.forms.refuse(error.message);
  }
}

function showLoss(look, before) {
  if (look.loss === null) return fill(parts.loss, h("p", { class: "hint" }, "One token alone: there is no next one in the text, so there is no loss."));
  const words = before
    ? ["Loss on this text ", data(before.loss), " → ", data(look.loss), " nats a token (", signed(look.loss - before.loss), ")"]
    : ["Loss on this text ", data(look.loss), " nats a token"];
  fill(parts.loss, h("p", { class: "loss-told" }, words));
}

async function showNext(look, before, chosen, signal) {
  const { pos } = chosen;
  const k = Math.min(CANDIDATES, look.sizes.vocab_size);
  const all = (one) => one && json("losses", { ...one.query, k }, { signal });
  const [now, then] = (await Promise.all([all(look), all(before)])).map((found) => found?.positions[pos] ?? null);
  const wanted = chosen.token === undefined ? null : Number(chosen.token);
  const token = wanted !== null && wanted < look.sizes.vocab_size ? wanted : (then ?? now).top[0].id;
  const sums = (one) => one && json("ledger", { ...one.query, pos, token }, { signal });
  const [own, old] = await Promise.all([sums(look), sums(before)]);
  if (signal.aborted) return;
  const pick = (id) => state.set({ token: id });
  showCandidates(parts.candidates, now, then, token, pick);
  fill(parts.ledgerTitle, h("h3", {}, "Logit of ", h("code", {}, visible(own.token)), ` after position ${pos}, as a sum`));
  showLedger(parts.ledger, own, old, (which) => state.set(choose(look, state.get(), which)));
}

async function showMaps(look, before, context) {
  const { state: chosen, signal } = context;
  const value = shownValue(look, chosen);
  parts.picker.show(context, value);
  try {
    const found = before
      ? await bothMatrices(value, look, before, chosen, signal)
      : { now: await look.matrix(value, chosen.head, signal), then: null, axes: await look.axes(value, 0, signal) };
    if (signal.aborted) return;
    fill(parts.refused);
    parts.compare.element.hidden = false;
    parts.compare.show(value, found, before ? NAMES : { ...NAMES, now: "as it is" }, context);
  } catch (error) {
    if (signal.aborted) return;
    fill(parts.refused, problem(error));
    parts.compare.element.hidden = true;
  }
}

async function showChanged(look, before, signal) {
  parts.shares.hidden = !before;
  if (!before) return;
  const found = await shares(look, before, signal);
  if (!signal.aborted) showShares(parts.shares, found, look);
}
