/** Which value is compared with what: the one of the selection, and the same in another look. */

import { ApiError, json } from "../api.js";
import { fill, h } from "../dom.js";
import { look as lookAt } from "../look.js";
import { keyOf, variable } from "../names.js";
import { openValue } from "../selection.js";
import * as state from "../state.js";

/**
 * Return the value that is open: the one of the URL, else the map of the head that is selected.
 * @param {import("../look.js").Look} look
 * @param {Object} chosen The state.
 * @returns {Object|null}
 */
export function shownValue(look, chosen) {
  return look.value(chosen.value) ?? headMap(look, chosen) ?? look.values.at(-1) ?? null;
}

/**
 * Return the attention weights of the head that is selected.
 * @param {import("../look.js").Look} look
 * @param {{layer: number, head: number}} chosen
 * @returns {Object|null}
 */
export function headMap(look, { layer, head }) {
  const map = look.heads.find((one) => one.layer === layer && one.head === head);
  return (map && look.value(keyOf(map))) ?? null;
}

/**
 * Return the values that lie on the way through the layer and the head that are selected.
 * @param {import("../look.js").Look} look
 * @param {{layer: number, head: number}} chosen
 * @returns {Object[]}
 */
export function onTheWay(look, { layer, head }) {
  return look.values.filter((value) => {
    if (!/\d/.test(value.module)) return true; // the stream between the blocks, all the way
    const [block, one] = look.structure.where.get(keyOf(value)) ?? [];
    return (block ?? layer) === layer && (one ?? head) === head;
  });
}

/**
 * Look at the same text otherwise.
 * @param {import("../look.js").Look} look
 * @param {{run?: string, step?: number, change?: string}} otherwise
 * @param {AbortSignal} signal
 * @returns {Promise<import("../look.js").Look>}
 * @throws {ApiError} Also where the other run reads other tokens.
 */
export async function otherLook(look, otherwise, signal) {
  const query = { ...look.query, change: look.change, ...otherwise };
  const other = await lookAt(query, signal);
  if (other.tokens.length !== look.tokens.length) {
    throw new ApiError(`${other.run} reads this text as other tokens: its positions are not these.`, 400);
  }
  return other;
}

/**
 * Fetch a value of a look, and the same of another.
 * @param {Object} value
 * @param {import("../look.js").Look} look
 * @param {import("../look.js").Look} other
 * @param {{layer: number, head: number}} chosen
 * @param {AbortSignal} signal
 * @returns {Promise<{now: Object, then: Object, axes: Object}>}
 * @throws {ApiError} Where the other has none, or one of another shape.
 */
export async function bothMatrices(value, look, other, chosen, signal) {
  const same = counterpart(value, look, other, chosen);
  if (!same) throw new ApiError(`${other.run} has no value ${value.title}.`, 404);
  const size = ({ shape }) => (shape.length > 2 ? shape.slice(-2) : shape).join();
  if (size(same) !== size(value)) {
    throw new ApiError(`${value.title} is (${same.shape.join(", ")}) there and (${value.shape.join(", ")}) here: the numbers do not correspond.`, 400);
  }
  const [now, then, axes] = await Promise.all([
    look.matrix(value, chosen.head, signal),
    other.matrix(same, chosen.head, signal),
    look.axes(value, 0, signal),
  ]);
  return { now, then, axes };
}

/** Heads correspond by their numbers, however a model calls their weights. */
function counterpart(value, look, other, chosen) {
  return other.value(keyOf(value)) ?? (value === headMap(look, chosen) ? headMap(other, chosen) : null);
}

/** Chooses the value that is shown, among those on the way. */
export class ValuePicker {
  #look = null;

  constructor() {
    this.select = h("select", { onchange: () => this.#choose() });
    this.element = h("label", { class: "field" }, h("span", { class: "field-name" }, "Value"), this.select);
  }

  /**
   * Offer values.
   * @param {import("./index.js").Context} context
   * @param {Object} value The one that is shown.
   */
  show({ look, state: chosen }, value) {
    this.#look = look;
    const map = headMap(look, chosen);
    const first = map && h("option", { value: keyOf(map) }, `attention of head ${chosen.layer}.${chosen.head}`);
    fill(this.select, first, groups(onTheWay(look, chosen).filter((one) => one !== map)));
    if (!this.select.querySelector(`option[value="${CSS.escape(keyOf(value))}"]`)) {
      this.select.append(option(value));
    }
    this.select.value = keyOf(value);
  }

  #choose() {
    const value = this.#look.value(this.select.value);
    if (value) state.set(openValue(this.#look, value));
  }
}

function groups(values) {
  const found = [];
  for (const value of values) {
    if (found.at(-1)?.module !== value.module) found.push({ module: value.module, values: [] });
    found.at(-1).values.push(value);
  }
  return found.map(({ module, values: own }) => h("optgroup", { label: module || "the model" }, own.map(option)));
}

function option(value) {
  return h("option", { value: keyOf(value) }, value.occurrence ? `${value.name} #${value.occurrence}` : value.name);
}

/**
 * Fetch which values changed most; null where the server can't tell.
 * @param {import("../look.js").Look} look
 * @param {import("../look.js").Look} other
 * @param {AbortSignal} signal
 * @returns {Promise<Object|null>}
 */
export async function shares(look, other, signal) {
  const query = { ...look.query, other_run: other.run, other_step: other.step, other_change: other.change || "none" };
  try {
    return await json("difference", query, { signal });
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/**
 * Name a value briefly: its module's end, its variable.
 * @param {{module: string, name: string, occurrence: number}} value
 * @returns {string}
 */
export function brief(value) {
  const number = value.occurrence ? `#${value.occurrence}` : "";
  return `${value.module ? `${value.module}:` : ""}${value.name || variable(value)}${number}`;
}
