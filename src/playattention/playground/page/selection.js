/** What follows from selecting something: patches for state.js that keep a selection whole. */

import { keyOf } from "./names.js";
import { LEVELS, sibling } from "./structure.js";

/**
 * Return what is selected in a look, each within its bounds; an open value's layer and head are.
 * @param {Object} state
 * @param {import("./look.js").Look} look
 * @returns {{layer: number, head: number, pos: number}}
 */
export function within(state, look) {
  const bound = (number, size, otherwise) => Math.max(0, Math.min(number ?? otherwise, size - 1));
  const [layer = state.layer, head = state.head] = look.structure.where.get(state.value) ?? [];
  return {
    layer: bound(layer, look.sizes.n_layer, 0),
    head: bound(head, look.sizes.n_head, 0),
    pos: bound(state.pos, look.tokens.length, look.tokens.length - 1),
  };
}

/**
 * Select another layer or head; the open value moves along.
 * @param {import("./look.js").Look} look
 * @param {Object} state
 * @param {{layer?: number, head?: number}} chosen
 * @returns {Object} A patch.
 */
export function choose(look, state, chosen) {
  const open = look.value(state.value);
  if (!open) return chosen;
  const next = { ...within(state, look), ...chosen };
  const other = sibling(look.structure, open, LEVELS.map((key) => next[key]), look.values);
  if (!other) return { ...chosen, value: null, index: null, operand: null };
  const patch = { ...chosen, value: keyOf(other), operand: null };
  if (state.index === undefined) return patch;
  const index = state.index.split(",");
  index.forEach((_, place) => {
    if (look.isHead(other, place)) index[place] = String(Math.min(next.head, other.shape[place] - 1));
  });
  return { ...patch, index: index.join(",") };
}

/**
 * Open a value; layer and head become those that it belongs to.
 * @param {import("./look.js").Look} look
 * @param {Object} value
 * @returns {Object} A patch.
 */
export function openValue(look, value) {
  return { ...home(look, value), value: keyOf(value), index: null, operand: null };
}

/**
 * Open one number of a value.
 * @param {import("./look.js").Look} look
 * @param {Object} value
 * @param {number[]} index The whole cell.
 * @returns {Object} A patch.
 */
export function openNumber(look, value, index) {
  const head = index.find((_, dimension) => look.isHead(value, dimension));
  const patch = { ...home(look, value), value: keyOf(value), index: index.join(","), operand: null };
  return head === undefined ? patch : { ...patch, head };
}

function home(look, value) {
  const numbers = look.structure.where.get(keyOf(value)) ?? [];
  return Object.fromEntries(numbers.slice(0, LEVELS.length).map((number, level) => [LEVELS[level], number]));
}
