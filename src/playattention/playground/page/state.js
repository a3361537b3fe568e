/** What is selected, in the URL after #. The page's only global state; every view reads it. */

const WHOLE = ["step", "layer", "head", "pos"];
const OPENS = ["view", "value", "index", "operand"];
const listeners = new Set();

let current = read();

addEventListener("hashchange", moved);
addEventListener("popstate", moved);

/**
 * Return what is selected; not to be changed.
 * @returns {Object<string, string|number>} view, run, step, text, layer, head, pos, value, index,
 *     operand, change, theme and what views add; missing: not selected.
 */
export function get() {
  return current;
}

/**
 * Select something else.
 * @param {Object<string, string|number|null>} patch null takes a key out.
 * @param {{push?: boolean}} [options] Whether Back leads to what was before; default: if a view
 *     or a number is opened.
 */
export function set(patch, { push } = {}) {
  const next = { ...current };
  for (const [key, value] of Object.entries(patch)) {
    const none = value === "" && key !== "index"; // the index of a lone number is empty
    if (value === null || value === undefined || none) delete next[key];
    else next[key] = WHOLE.includes(key) ? Number(value) : String(value);
  }
  const changed = difference(current, next);
  if (!changed.size) return;
  const opens = push ?? OPENS.some((key) => changed.has(key));
  history[opens ? "pushState" : "replaceState"](null, "", url(next));
  tell(next, changed);
}

/**
 * Hear of every change.
 * @param {function(Object, Set<string>)} listener Takes what is selected, and which keys changed.
 * @returns {function()} Ends it.
 */
export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Return the URL of the page with something else selected, for links.
 * @param {Object<string, string|number|null>} state All of it.
 * @returns {string}
 */
export function url(state) {
  const keys = Object.keys(state).filter((key) => state[key] !== null);
  const words = new URLSearchParams(keys.map((key) => [key, state[key]])).toString();
  const readable = words.replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/");
  return `${location.pathname}${location.search}#${readable}`;
}

function read() {
  const found = {};
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    if (!WHOLE.includes(key)) found[key] = value;
    else if (/^\d+$/.test(value)) found[key] = Number(value);
  }
  return found;
}

function moved() {
  const next = read();
  const changed = difference(current, next);
  if (changed.size) tell(next, changed);
}

function difference(before, after) {
  const keys = [...Object.keys(before), ...Object.keys(after)];
  return new Set(keys.filter((key) => before[key] !== after[key]));
}

function tell(next, changed) {
  current = Object.freeze(next);
  for (const listener of [...listeners]) listener(current, changed);
}
