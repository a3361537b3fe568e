/** How values and tokens are called: in the URL, in the server's titles, to a reader. */

/**
 * Return how the URL names a value.
 * @param {{module: string, name: string, occurrence: number}} value
 * @returns {string}
 */
export function keyOf({ module, name, occurrence }) {
  return `${module}:${name}:${occurrence}`;
}

/**
 * Return how the URL names the value with a title of the server: `module:name#occurrence`.
 * @param {string} title
 * @returns {string}
 */
export function keyOfTitle(title) {
  const [, path, number] = title.match(/^(.*?)(?:#(\d+))?$/s);
  return `${path}:${number ?? 0}`;
}

/**
 * Return a value's name without the place in a list: `mixed` for `mixed[0]`.
 * @param {{name: string}} value
 * @returns {string}
 */
export function variable({ name }) {
  return name.split("[")[0];
}

const SHOWN = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍" };

/**
 * Return how a token is shown, blanks and line ends included.
 * @param {{text: string, bytes?: number[]}} token
 * @returns {string}
 */
export function visible({ text, bytes = [] }) {
  if (text.includes("\ufffd") && bytes.length) {
    return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  }
  return text.replaceAll(/[ \n\t\r]/g, (blank) => SHOWN[blank]) || "∅";
}

/** Variables with a colour of their own, everywhere the same. */
const PARTS = {
  query: "query",
  query_normed: "query",
  query_turned: "query",
  queries: "query",
  query_normed: "query",
  query_turned: "query",
  key: "key",
  key_normed: "key",
  key_turned: "key",
  keys: "key",
  value: "value",
  values: "value",
  weights: "weights",
  dropped: "weights",
};

/**
 * Return which part of attention a variable plays, for its colour.
 * @param {string} name
 * @returns {string|null} "query", "key", "value" or "weights".
 */
export function part(name) {
  return Object.hasOwn(PARTS, name) ? PARTS[name] : null;
}
