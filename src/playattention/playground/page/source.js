/** The model's source: what ran, with the line that made a value lit. */

import { fill, h } from "./dom.js";
import { keyOfTitle, part } from "./names.js";

/**
 * Return a line of source with its names coloured as everywhere, and its comments dimmed.
 * @param {string} text
 * @returns {(string|HTMLElement)[]}
 */
export function code(text) {
  const pieces = text.match(/#.*|"(?:[^"\\]|\\.)*"|[A-Za-z_]\w*|[^A-Za-z_#"]+|./gs) ?? [];
  return pieces.map((piece, place) => {
    if (piece.startsWith("#")) return h("span", { class: "comment" }, piece);
    if (piece.startsWith('"')) return h("span", { class: "string" }, piece);
    const attribute = pieces[place - 1]?.endsWith(".");
    const kind = attribute ? null : part(piece);
    return kind ? h("span", { class: `part-${kind}` }, piece) : piece;
  });
}

/**
 * Show a function's source; a line that made values opens them.
 * @param {HTMLElement} element It stands in.
 * @param {{file: string, function: string, lines: Object[]}} listing Of /api/source.
 * @param {Object} value The one that is open: its line is lit.
 * @param {function(string)} onOpen Called with the key of a line's value.
 */
export function showSource(element, listing, value, onOpen) {
  const last = value.line + value.source.split("\n").length - 1;
  const lines = folded(listing.lines);
  const rows = lines.map(({ number, text, values }) => {
    const lit = number >= value.line && number <= last;
    const told = h("code", {}, lit || !text.startsWith('    """') ? code(text) : h("span", { class: "string" }, text));
    const made = lit ? [] : values.map(keyOfTitle);
    const line = made.length
      ? h("button", { class: "line-link", type: "button", onclick: () => onOpen(made.at(-1)) }, told)
      : told;
    return h("li", { class: lit ? "lit" : null, value: number, "aria-current": lit ? "step" : null }, line);
  });
  const list = h("ol", { class: "source", tabindex: 0, "aria-label": `Source of ${listing.function}` }, rows);
  fill(element, h("p", { class: "hint" }, `${listing.file}, ${listing.function}`), list);
  const lit = list.querySelector(".lit");
  if (lit) list.scrollTop = lit.offsetTop - list.clientHeight / 2;
}

/** Of a docstring that has several lines, the first is kept. */
function folded(lines) {
  const kept = [];
  let inside = false;
  for (const line of lines) {
    const quotes = line.text.split('"""').length - 1;
    if (!inside) kept.push(line);
    if (quotes === 1) inside = !inside;
  }
  return kept;
}
