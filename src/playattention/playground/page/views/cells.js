/** Cells of matrices in words, and how two matrices differ. Knows neither server nor page. */

import { fill, h } from "../dom.js";
import { full, short } from "../numbers.js";

/**
 * Name a place on an axis: `T 5 ‘x’`.
 * @param {import("../heatmap_paint.js").Axis & {symbol?: string|null}} axis
 * @param {number} place From 0, of what is shown.
 * @returns {string} Empty for an axis of one place without a name.
 */
export function axisWord(axis, place) {
  if (!axis.symbol && axis.labels) return "";
  const number = (axis.start ?? 0) + place;
  return `${axis.symbol ?? ""} ${number}${axis.labels ? ` ‘${axis.labels[place]}’` : ""}`.trim();
}

/**
 * Name a cell by its row and its column.
 * @param {{rowAxis: Object, columnAxis: Object}} axes
 * @param {number} row
 * @param {number} column
 * @returns {string}
 */
export function cellWords({ rowAxis, columnAxis }, row, column) {
  return [axisWord(rowAxis, row), axisWord(columnAxis, column)].filter(Boolean).join(" · ");
}

/**
 * Subtract; equal numbers, two infinite ones too, differ by 0.
 * @param {ArrayLike<number>} now
 * @param {ArrayLike<number>} then As many.
 * @returns {Float32Array} now − then.
 */
export function less(now, then) {
  return Float32Array.from(now, (one, at) => (one === then[at] ? 0 : one - then[at]));
}

/**
 * Return where the numbers of largest size stand.
 * @param {ArrayLike<number>} data
 * @param {number} most How many.
 * @returns {number[]} Places, the largest first; those of 0 or not finite left out.
 */
export function largest(data, most) {
  const found = [];
  for (let at = 0; at < data.length; at++) {
    const size = Math.abs(data[at]);
    if (!size || !Number.isFinite(size)) continue;
    if (found.length === most && size <= Math.abs(data[found.at(-1)])) continue;
    let place = found.length;
    while (place > 0 && Math.abs(data[found[place - 1]]) < size) place--;
    found.splice(place, 0, at);
    if (found.length > most) found.pop();
  }
  return found;
}

/**
 * Show a change, with its sign.
 * @param {number|null} number
 * @returns {HTMLElement}
 */
export function signed(number) {
  const words = number > 0 ? `+${short(number)}` : short(number);
  return h("data", { value: number ?? "", class: "number", title: full(number) }, words);
}

/**
 * Show a change as a bar that leaves the middle.
 * @param {number} number
 * @param {number} most The number that half the room stands for.
 * @returns {HTMLElement}
 */
export function delta(number, most) {
  const share = most && Number.isFinite(number) ? Math.min(1, Math.abs(number) / most) : 0;
  const kind = number < 0 ? "below" : "above";
  return h("i", { class: `delta ${kind}`, "aria-hidden": "true", vars: { "--share": share } });
}

/**
 * Show an amount as a bar from zero on.
 * @param {number} number
 * @param {number} most The number that the whole room stands for.
 * @param {string} [kind] A class.
 * @returns {HTMLElement}
 */
export function amount(number, most, kind = "") {
  const share = most && Number.isFinite(number) ? Math.min(1, Math.abs(number) / most) : 0;
  return h("i", { class: `amount ${kind}`, "aria-hidden": "true", vars: { "--share": share } });
}

const drawn = new WeakMap(); // element -> key of what stands in it

/**
 * Put something else into an element, unless it is there already; the button that has the focus,
 * or the one in its place, keeps it.
 * @param {HTMLElement} element
 * @param {*} key Of what it is to show; told apart by its JSON.
 * @param {function(): *} make Returns it, as children for `fill`.
 */
export function redraw(element, key, make) {
  const word = JSON.stringify(key);
  if (drawn.get(element) === word) return;
  drawn.set(element, word);
  const buttons = () => [...element.querySelectorAll("button")];
  const place = buttons().indexOf(document.activeElement);
  fill(element, make());
  if (place >= 0) buttons()[place]?.focus({ preventScroll: true });
}

/**
 * Tell what went wrong, in the place of what was to be shown.
 * @param {Error} error
 * @returns {HTMLElement}
 */
export function problem(error) {
  return h("p", { class: "problem", role: "alert" }, error.message);
}
