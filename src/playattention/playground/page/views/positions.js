/** Every position: what the model expects next, what came, what it cost, layer by layer, and why. */

import { json } from "../api.js";
import { scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import * as state from "../state.js";
import { candidates, LossTable } from "./positions_losses.js";
import { LedgerBars } from "./positions_ledger.js";
import { LensGrid } from "./positions_lens.js";

const CANDIDATES = 8;

let parts = null;

/** @type {import("./index.js").View} */
export default { id: "positions", title: "Every position", show, hide };

async function show(root, context) {
  const { look, signal, state: chosen, tokens } = context;
  const query = { ...look.query, k: CANDIDATES };
  const found = await json("losses", query, { signal });
  parts ??= build(root, context);
  const { positions } = found;
  const costs = positions.map(({ loss }) => loss ?? NaN);
  const scale = scaleOf(costs, "surprise", { low: 0 });
  tokens.shade([NaN, ...costs.slice(0, -1)], scale); // a token has the colour of what it cost
  parts.losses.show(found, chosen.pos, look);
  const here = positions[chosen.pos];
  const token = chosen.token === undefined ? here.top[0].id : Number(chosen.token);
  fill(parts.next, candidates(here, token, (id) => state.set({ token: id })));
  await Promise.all([parts.ledger.show(context, here, token), parts.lens.show(context)]);
}

function hide() {
  parts = null;
}

function build(root, context) {
  const losses = new LossTable((pos) => state.set({ pos, token: null }));
  const next = h("div", { class: "next-tokens" });
  const ledger = new LedgerBars();
  const lens = new LensGrid(context);
  fill(
    root,
    h(
      "div",
      { class: "positions" },
      h("section", { class: "card", "aria-label": "What each token cost" }, losses.element),
      h("section", { class: "card", "aria-label": "The position that is selected" }, next, ledger.element),
      h("section", { class: "card positions-lens", "aria-label": "Logit lens" }, lens.element),
    ),
  );
  return { losses, next, ledger, lens };
}
