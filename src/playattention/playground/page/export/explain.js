/**
 * Where a number comes from, out of the rules in the file: its operands are found in the tensors,
 * and the result is worked out from them once more, in float64.
 */

import { at } from "./tensors.js";
import { worked } from "./arithmetic.js";

/**
 * Explain a cell.
 * @param {Object} rules Of its value: cells, pieces or a note.
 * @param {Object} value Of the look.
 * @param {number[]} cell
 * @param {import("./tensors.js").Tensors} tensors
 * @returns {Object} As /api/explain answers.
 */
export function explanation(rules, value, cell, tensors) {
  const { title, file, line, source } = value;
  const told = { title, index: cell, file, line, source };
  if (rules.cells) return { ...rules.cells[cell.join(",")], ...told };
  const number = at(tensors.value(title), cell);
  const nothing = { ...told, number: plain(number), operation: source, formula: "", operands: [], facts: {}, result: null, error: null };
  if (!rules.pieces) return { ...nothing, note: `${rules.note}; \`playattention play\` explains each cell` };
  const column = cell.at(-1) ?? 0;
  const piece = rules.pieces.find(({ from, to }) => column >= from && column < to);
  const operands = operandsOf(piece, cell, tensors);
  const { operation, formula, note, constants } = piece;
  const shown = { ...nothing, operation, formula, operands: operands.map(written), note };
  if (note) return shown; // X-ray itself could not tell
  if (operands.some((one) => one.number === null)) return { ...shown, note: "not all of its operands are in this file" };
  const found = worked(operation, operands, constants);
  if (!found) return { ...shown, note: "this operation is not worked out in this file" };
  const error = Object.is(found.result, number) || found.result === number ? 0 : Math.abs(found.result - number);
  const facts = Object.fromEntries(Object.entries(found.facts).map(([name, fact]) => [name, plain(fact)]));
  return { ...shown, facts, result: plain(found.result), error: plain(error) };
}

function operandsOf(piece, cell, tensors) {
  const numbers = []; // of those that belong to no term: others may follow from them
  for (const slot of piece.singles) numbers.push(null);
  const first = piece.singles.map((slot, place) => {
    const one = operand(slot, cell, null, numbers, tensors);
    numbers[place] = one.number;
    return one;
  });
  const terms = [];
  for (let term = 0; term < piece.terms.count; term++) {
    for (const slot of piece.terms.slots) terms.push(operand(slot, cell, term, numbers, tensors));
  }
  return [...first, ...terms];
}

function operand(slot, cell, term, numbers, tensors) {
  const { name, role, kind, path, shape } = slot;
  const follow = (rule) => followed(rule, cell, term ?? 0, numbers);
  const index = slot.index.map(follow);
  const place = slot.at && slot.at.map(follow);
  let number = slot.number.length ? follow(slot.number[0]) : null;
  if (!slot.number.length && place && !place.includes(null)) {
    const tensor = tensors.of(kind, path);
    number = tensor ? at(tensor, place) : null;
  }
  return { name, index, number, role, kind, path, at: place, term, shape };
}

/** Follow a rule of report_rules.py: c + a · cell + b · term, or another operand’s number. */
function followed(rule, cell, term, numbers) {
  if (rule === null) return null;
  if (rule.of !== undefined) return numbers[rule.of];
  if (!rule.a) return typeof rule.c === "string" ? Number(rule.c.replace("inf", "Infinity")) : rule.c;
  return rule.a.reduce((sum, step, place) => sum + step * cell[place], rule.c) + rule.b * term;
}

function written(operand) {
  return { ...operand, number: plain(operand.number) };
}

/** What is not finite is told in words, as the server does. */
function plain(number) {
  if (number === null || Number.isFinite(number)) return number;
  if (Number.isNaN(number)) return "nan";
  return number > 0 ? "inf" : "-inf";
}
