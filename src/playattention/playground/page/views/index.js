/** The views, in the order of their tabs. A view is a file and a line here. */

import backward from "./backward.js";
import flow from "./flow.js";
import generate from "./generate.js";
import heads from "./heads.js";
import learn from "./learn.js";
import overTraining from "./over_training.js";
import positions from "./positions.js";
import train from "./train.js";
import whatIf from "./what_if.js";

/**
 * @typedef {Object} View
 * @property {string} id Its name in the URL.
 * @property {string} title Its name on the tab.
 * @property {function(HTMLElement, Context): Promise<void>} show Draws it, or what has changed;
 *     called for every change of what is selected while it is open.
 * @property {function()} hide Forgets what it drew; its element is emptied by the page.
 */

/**
 * @typedef {Object} Context
 * @property {import("../look.js").Look} look What is looked at.
 * @property {Object} state What is selected; layer, head and pos within their bounds.
 * @property {Set<string>} changed Keys of the state that changed.
 * @property {AbortSignal} signal Aborted by the next change.
 * @property {import("../tokens.js").Tokens} tokens The strip of tokens: shade, highlight.
 * @property {function(string)} announce Tells who does not see.
 * @property {function({row: number|null, column: number|null, from: string})} hover Tells the
 *     positions that are pointed at.
 * @property {function(function(Object))} onHover Hears of them, from all parts of the page.
 * @property {function(Object, number[])} open Opens the arithmetic of a value's cell.
 */

/** @type {View[]} */
export const VIEWS = [flow, heads, positions, overTraining, whatIf, backward, generate, train, learn];
