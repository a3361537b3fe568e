/** The operations of a Transformer on numbers, in float64, as X-ray names them. */

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/**
 * Work an operation out.
 * @param {string} operation As X-ray calls it.
 * @param {{role: string, number: number, term: number|null}[]} operands
 * @param {Object<string, number>} constants Settings: eps.
 * @returns {{result: number, facts: Object<string, number>}|null} null: it is not known here.
 */
export function worked(operation, operands, constants) {
  const own = {};
  const columns = new Map(); // role -> its numbers, term by term
  for (const { role, number, term } of operands) {
    if (term === null) own[role] = number;
    else if (columns.has(role)) columns.get(role).push(number);
    else columns.set(role, [number]);
  }
  const name = operation.replace(/, moved$/, "");
  if (isSame(name)) return { result: operands[0].number, facts: {} };
  const found = OPERATIONS[name]?.(own, columns, constants);
  if (found === undefined) return null;
  return typeof found === "number" ? { result: found, facts: {} } : found;
}

function isSame(name) {
  return ["moved", "unchanged"].includes(name) || name.startsWith("what ") || name.startsWith("dropout, not in training");
}

const OPERATIONS = {
  sum: ({ left, right }) => left + right,
  difference: ({ left, right }) => left - right,
  product: ({ left, right }) => left * right,
  quotient: ({ left, right }) => left / right,
  negative: ({ operand }) => -operand,
  exponential: ({ operand }) => Math.exp(operand),
  relu: ({ operand }) => Math.max(0, operand),
  tanh: ({ operand }) => Math.tanh(operand),
  sigmoid: ({ operand }) => 1 / (1 + Math.exp(-operand)),
  silu: ({ operand }) => operand / (1 + Math.exp(-operand)),
  "gelu, by tanh": ({ operand }) => (operand * (1 + Math.tanh(SQRT_2_OVER_PI * (operand + 0.044715 * operand ** 3)))) / 2,
  choice: (own) => (own.condition ? own["where true"] : own["where false"]),
  lookup: ({ row, entry }) => ({ result: entry, facts: { row } }),
  "dot product": (_, columns) => dot(columns),
  "dot product and bias": ({ bias }, columns) => dot(columns) + bias,
  softmax,
  "layer norm": layerNorm,
  "rms norm": rmsNorm,
};

function dot(columns) {
  const all = [...columns.values()];
  return all[0].reduce((sum, _, term) => sum + all.reduce((product, column) => product * column[term], 1), 0);
}

function softmax({ own }, columns) {
  const row = columns.get("row");
  const maximum = Math.max(...row);
  const sum = row.reduce((total, one) => total + Math.exp(one - maximum), 0);
  const exponential = Math.exp(own - maximum);
  return { result: exponential / sum, facts: { maximum, exponential, sum } };
}

function layerNorm({ own, weight = 1, bias = 0 }, columns, { eps }) {
  const row = columns.get("row");
  const mean = row.reduce((sum, one) => sum + one, 0) / row.length;
  const variance = row.reduce((sum, one) => sum + (one - mean) ** 2, 0) / row.length;
  const normalized = (own - mean) / Math.sqrt(variance + eps);
  return { result: normalized * weight + bias, facts: { mean, variance, eps, normalized } };
}

function rmsNorm({ own, weight = 1 }, columns, { eps }) {
  const row = columns.get("row");
  const square = row.reduce((sum, one) => sum + one ** 2, 0) / row.length;
  return { result: (own / Math.sqrt(square + eps)) * weight, facts: { "mean square": square, eps } };
}
