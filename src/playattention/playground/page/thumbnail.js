/** Small pictures of matrices: each dot is the number of largest size among those it stands for. */

import { paintPixels } from "./heatmap_paint.js";

const small = new OffscreenCanvas(160, 160); // one for all: a canvas takes longer to make than to fill
const dots = small.getContext("2d");

/**
 * Draw a matrix onto a small canvas.
 * @param {HTMLCanvasElement} canvas As large as it is.
 * @param {{data: ArrayLike<number>, rows: number, columns: number}} matrix
 * @param {import("./colours.js").Scale} scale
 */
export function thumbnail(canvas, matrix, scale) {
  const width = Math.min(matrix.columns, canvas.width);
  const height = Math.min(matrix.rows, canvas.height);
  const image = new ImageData(width, height);
  paintPixels(new Uint32Array(image.data.buffer), reduced(matrix, height, width), scale);
  if (small.width < width) small.width = width;
  if (small.height < height) small.height = height;
  dots.putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, width, height, 0, 0, canvas.width, canvas.height);
}

/**
 * Return a smaller matrix of numbers that stand in a large one.
 * @param {{data: ArrayLike<number>, rows: number, columns: number}} matrix
 * @param {number} height
 * @param {number} width
 * @returns {Float32Array}
 */
export function reduced({ data, rows, columns }, height, width) {
  if (height === rows && width === columns) return Float32Array.from(data);
  const found = new Float32Array(height * width).fill(NaN);
  for (let row = 0; row < rows; row++) {
    const down = Math.floor((row * height) / rows) * width;
    for (let column = 0; column < columns; column++) {
      const at = down + Math.floor((column * width) / columns);
      const number = data[row * columns + column];
      if (Number.isNaN(found[at]) || larger(number, found[at])) found[at] = number;
    }
  }
  return found;
}

function larger(one, other) {
  return Number.isFinite(one) && !(Math.abs(one) <= Math.abs(other) && Number.isFinite(other));
}
