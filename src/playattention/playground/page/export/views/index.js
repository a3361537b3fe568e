/** The views of a file that stands alone: those of one text. */

import flow from "../../views/flow.js";
import heads from "../../views/heads.js";
import positions from "../../views/positions.js";

/** @type {import("../../views/index.js").View[]} */
export const VIEWS = [flow, heads, positions];
