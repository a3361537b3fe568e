/** What the colours of a picture stand for, over the range that it has. */

import { h } from "./dom.js";
import { data, full } from "./numbers.js";

const LENGTH = 160;

/**
 * Return the legend of a scale.
 * @param {Scale} scale Of colours.js.
 * @returns {HTMLElement}
 */
export function legend(scale) {
  const low = Math.min(scale.low, scale.kind === "diverging" ? scale.low : 0);
  const canvas = h("canvas", { width: LENGTH, height: 1, "aria-hidden": "true" });
  paint(canvas, scale, low, scale.high);
  return h(
    "div",
    { class: "legend", dataset: { kind: scale.kind, low, high: scale.high } },
    data(low),
    canvas,
    data(scale.high),
    scale.special.map((number) =>
      h("span", { class: "legend-special" }, h("i", { class: "swatch" }), full(number)),
    ),
  );
}

function paint(canvas, scale, low, high) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(LENGTH, 1);
  const pixels = new Uint32Array(image.data.buffer);
  for (let place = 0; place < LENGTH; place++) {
    const number = low + (place / (LENGTH - 1)) * (high - low);
    pixels[place] = scale.pixels[scale.shade(number)];
  }
  context.putImageData(image, 0, 0);
}
