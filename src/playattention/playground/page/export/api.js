/**
 * What the page asks, answered out of the file itself: the same functions as ../api.js, and no
 * server. What the server would compute anew is not in the file, and is told so.
 */

import { explanation } from "./explain.js";
import { cut, Tensors } from "./tensors.js";

/** What can't be answered, in words. */
export class ApiError extends Error {
  /**
   * @param {string} message One line.
   * @param {number} status As HTTP's.
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const data = JSON.parse(document.getElementById("data").textContent);
const held = new Tensors(data);
const ELSE = "is not in this file: `playattention play` shows it";

const ANSWERS = {
  runs: () => [{ name: data.look.run, kind: "run", error: null, model: data.look.model, dataset: null, tokenizer: null, step: data.look.step, steps: data.look.steps, planned: null, val_loss: null, floor: null, sizes: data.look.sizes, parameters: null }],
  examples: () => ({ texts: [{ title: "this text", text: data.look.text }] }),
  look: (query) => sameLook(query) && data.look,
  vocabulary: ({ start = 0, count = 1024 }) => ({ size: data.vocabulary.length, start, tokens: data.vocabulary.slice(start, start + count) }),
  source: ({ module = "", function: name = "forward" }) => source(module, name),
  losses: ({ k = 5 }) => losses(k),
  lens: ({ k = 5 }) => lens(k),
  ledger: (query) => ledger(query),
  explain: (query) => explained(query),
};

/**
 * Ask for words.
 * @param {string} path
 * @param {Object<string, *>} [query]
 * @returns {Promise<*>}
 * @throws {ApiError} What is not in the file.
 */
export async function json(path, query = {}) {
  if (!Object.hasOwn(ANSWERS, path)) throw new ApiError(`This ${ELSE}.`, 404);
  return ANSWERS[path](query);
}

/**
 * Ask for a tensor.
 * @param {string} path
 * @param {Object<string, *>} query
 * @returns {Promise<{data: Float32Array|Int32Array|Uint8Array, shape: number[], headers: Headers}>}
 * @throws {ApiError} What is not in the file.
 */
export async function tensor(path, query) {
  const found = path === "maps" ? maps() : path === "tensor" ? part(query) : null;
  if (!found) throw new ApiError(`This ${ELSE}.`, 404);
  return { ...found, headers: new Headers() };
}

/**
 * Ask for several tensors at once.
 * @param {string} path
 * @param {Object<string, *>} query
 * @returns {Promise<{data: ArrayLike<number>, shape: number[]}[]>}
 */
export async function tensors(path, { value }) {
  return value.map((word) => {
    const [module, name, occurrence, index] = word.split(":");
    return part({ module, name, occurrence, index });
  });
}

/** Nothing can be done here. */
export async function post() {
  throw new ApiError("This file does not compute: `playattention play` does.", 404);
}

/** Nothing changes. */
export function forget() {}

function sameLook({ run, step, text, change }) {
  const other = (given, own) => given !== undefined && given !== null && given !== "" && given !== own;
  const { look } = data;
  if (other(run, look.run) || other(step, look.step) || other(text, look.text) || other(change, "")) {
    throw new ApiError(`Another text, run or change ${ELSE}.`, 404);
  }
  return true;
}

function source(module, name) {
  const found = data.source[`${module}|${name}`];
  if (!found) throw new ApiError(`The source of ${name} ${ELSE}.`, 404);
  const lines = found.lines.map(([number, text, values]) => ({ number, text, values }));
  return { file: found.file, module, function: name, lines };
}

function losses(k) {
  if (!data.losses) throw new ApiError("The model returned no scores for each position.", 404);
  const positions = data.losses.positions.map((one) => ({ ...one, top: one.top.slice(0, k) }));
  return { ...data.losses, positions };
}

function lens(k) {
  if (!data.lens) throw new ApiError(data.without ?? "The logit lens needs the model: view(trace, model).", 404);
  const positions = data.lens.positions.map((stage) => stage.map((one) => ({ ...one, top: one.top.slice(0, k) })));
  return { ...data.lens, positions };
}

function ledger({ pos, token }) {
  if (!data.ledger) throw new ApiError(data.without ?? "The ledger needs the model: view(trace, model).", 404);
  const position = pos ?? data.look.tokens.length - 1;
  const likeliest = data.losses.positions[position].top[0].id;
  const id = Number(token ?? likeliest);
  const row = data.ledger.rows[`${position},${id}`];
  if (!row) throw new ApiError(`The ledger of this token ${ELSE}.`, 404);
  const [logit, total, remainder, ...amounts] = row;
  const entries = data.ledger.parts.map((part, place) => ({ ...part, amount: amounts[place] }));
  return { position, token: { id, text: data.vocabulary[id] }, logit, total, remainder, entries };
}

function entry({ module = "", name, occurrence = -1 }) {
  const found = data.look.values.filter((one) => one.module === module && one.name === name);
  const value = Number(occurrence) < 0 ? found.at(-1) : found[Number(occurrence)];
  if (!value) throw new ApiError(`There is no value ${module}:${name}.`, 404);
  return value;
}

function explained(query) {
  const value = entry(query);
  if (query.operand !== undefined && query.operand !== null) throw new ApiError(`This operand’s own arithmetic ${ELSE}.`, 404);
  const found = explanation(data.rules[value.title], value, numbers(query.index), held);
  return { ...found, total: found.operands.length, operands: found.operands.slice(0, query.count ?? 2000) };
}

function part(query) {
  const value = entry(query);
  return cut(held.value(value.title), numbers(query.index), query.columns);
}

function maps() {
  const { heads, sizes } = data.look;
  if (!heads.length) throw new ApiError("This model shows no attention weights.", 400);
  const parts = heads.map((one) => cut(held.value(entry(one).title), one.index));
  const [rows, columns] = parts[0].shape;
  const all = new Float32Array(parts.length * rows * columns);
  parts.forEach((one, place) => all.set(one.data, place * rows * columns));
  return { data: all, shape: [sizes.n_layer, sizes.n_head, rows, columns] };
}

function numbers(index) {
  return index === undefined || index === null || index === "" ? [] : String(index).split(",").map(Number);
}
