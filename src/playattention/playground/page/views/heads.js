/** Every head at a glance: a small map each, one of them large, and whom it looks at from a token. */

import { json, tensor } from "../api.js";
import { scaleOf } from "../colours.js";
import { fill, h } from "../dom.js";
import { Heatmap } from "../heatmap.js";
import { legend } from "../legend.js";
import { keyOf } from "../names.js";
import { data } from "../numbers.js";
import { choose } from "../selection.js";
import * as state from "../state.js";
import { Maps } from "./heads_maps.js";
import { lookedAt, roleTable, rolesOf } from "./heads_told.js";

let parts = null;

/** @type {import("./index.js").View} */
export default { id: "heads", title: "Heads", show, hide };

async function show(root, context) {
  const { look, state: chosen, signal } = context;
  const found = await tensor("maps", look.query, { signal });
  parts ??= build(root, context);
  parts.context = context;
  const [layers, heads, rows, columns] = found.shape;
  const scale = scaleOf(found.data, "weights", { low: 0 });
  fill(parts.legend, legend(scale));
  const size = rows * columns;
  const mapOf = (layer, head) => found.data.subarray((layer * heads + head) * size, (layer * heads + head + 1) * size);
  parts.mapOf = mapOf;
  parts.maps.show({ layers, heads, rows, columns, mapOf, scale }, chosen);
  showLarge(context, mapOf(chosen.layer, chosen.head), rows, columns, scale);
  showRow(context, mapOf(chosen.layer, chosen.head), rows, columns, scale);
  await showRoles(context, false);
}

function hide() {
  parts = null;
}

function build(root, context) {
  const readout = h("output", { class: "readout", "aria-live": "off" });
  const scaleLegend = h("div", { class: "heatmap-legend" });
  const maps = new Maps({
    onPick: (layer, head) => state.set(choose(parts.context.look, state.get(), { layer, head })),
    onHover: (cell) => hovered(cell, readout),
  });
  const large = new Heatmap({
    height: 560,
    onOpen: openCell,
    onHover: (cell) => context.hover({ row: cell?.[0] ?? null, column: cell?.[1] ?? null, from: "large" }),
  });
  context.onHover(({ row, column, from }) => {
    maps.highlight(row, column);
    if (from !== "large") large.highlight(row, column);
  });
  const title = h("h2", {});
  const row = h("div", { class: "looked-at" });
  const roles = h("div", { class: "roles" });
  const every = h("div", { class: "heatmap-head" }, readout, scaleLegend);
  fill(
    root,
    h(
      "div",
      { class: "heads" },
      h("section", { class: "heads-all", "aria-label": "Every head" }, every, maps.element, roles),
      h("section", { class: "card heads-one", "aria-label": "The head that is selected" }, title, large.element, row),
    ),
  );
  fill(readout, "Each row is a token that looks, each column one that is looked at.");
  return { maps, large, title, row, roles, readout, legend: scaleLegend };
}

function hovered(cell, readout) {
  parts.context.hover({ row: cell?.row ?? null, column: cell?.column ?? null, from: "maps" });
  if (!cell) return;
  const { layer, head, row, column } = cell;
  fill(readout, describe(parts.context, layer, head, row, column));
}

function describe({ look }, layer, head, row, column) {
  const number = parts.mapOf(layer, head)[row * look.tokens.length + column];
  const names = [row, column].map((place) => [` ${place} `, h("code", {}, look.labels[place])]);
  return [`layer ${layer}, head ${head}:`, names[0], " → ", names[1], " = ", data(number)];
}

function showLarge(context, map, rows, columns, scale) {
  const { look, state: chosen } = context;
  const { layer, head } = chosen;
  fill(parts.title, `Layer ${layer}, head ${head}`);
  parts.large.show({
    data: map,
    rows,
    columns,
    scale,
    square: true,
    rowAxis: { title: "who looks", labels: look.labels },
    columnAxis: { title: "at whom", labels: look.labels },
    label: `Attention weights of layer ${layer}, head ${head}: rows look, columns are looked at`,
    selected: selected(context),
    describe: (row, column) => describe(context, layer, head, row, column).slice(1),
  });
}

/** Return the attention weights of the head that is selected, as a value of the look. */
function own({ look, state: { layer, head } }) {
  const place = look.heads.find((one) => one.layer === layer && one.head === head);
  return place && { value: look.value(keyOf(place)), index: place.index };
}

function openCell(row, column) {
  const { value, index } = own(parts.context);
  parts.context.open(value, [...index, row, column]);
}

function selected(context) {
  const { state: chosen } = context;
  const head = own(context);
  if (!head || chosen.index === undefined || chosen.value !== keyOf(head.value)) return null;
  return chosen.index.split(",").map(Number).slice(-2);
}

function showRow(context, map, rows, columns, scale) {
  const { state: chosen, tokens } = context;
  const weights = map.subarray(chosen.pos * columns, (chosen.pos + 1) * columns);
  tokens.shade(weights, scale);
  fill(parts.row, lookedAt(context, weights, (column) => openCell(chosen.pos, column)));
}

/** Show the heads' roles where they are known; they are worked out when somebody asks. */
async function showRoles(context, asked) {
  const { look, signal, state: chosen } = context;
  const key = `${look.run} ${look.step} ${look.change}`;
  if (parts.rolesOf !== key && !asked) {
    const ask = () => showRoles(parts.context, true).catch((error) => fill(parts.roles, h("p", { class: "problem", role: "alert" }, error.message)));
    const button = h("button", { type: "button", onclick: ask }, "What do these heads look for?");
    parts.maps.name(new Map());
    fill(parts.roles, button, h("p", { class: "hint" }, "Measured on windows of text, against untrained models; takes some seconds."));
    return;
  }
  if (asked) fill(parts.roles, h("p", { class: "hint", role: "status" }, "Measuring every head …"));
  const { run, step } = look;
  const found = await json("roles", { run, step }, asked ? {} : { signal });
  if (!parts) return;
  parts.rolesOf = key;
  parts.maps.name(rolesOf(found));
  const { layer, head } = chosen;
  fill(parts.roles, roleTable(found, layer, head));
}
