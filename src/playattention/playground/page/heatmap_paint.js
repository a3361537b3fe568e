/** How a matrix is laid out and drawn on a canvas. Knows neither pointer nor keyboard. */

import { colour, isLight } from "./colours.js";

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const GAP = 6;

/**
 * @typedef {Object} Axis
 * @property {string} title What it counts: "who looks".
 * @property {string[]|null} [labels] A word for each place; none: numbers.
 * @property {number} [start] The first place's number; default 0.
 */

/**
 * @typedef {Object} Picture
 * @property {ArrayLike<number>} data Row by row.
 * @property {number} rows
 * @property {number} columns
 * @property {Scale} scale
 * @property {Axis} rowAxis
 * @property {Axis} columnAxis
 * @property {boolean} [square] Cells as high as they are wide.
 * @property {{width: number, height: number}} [least] The smallest cell in pixels.
 * @property {function(number, number): string} [text] What is written in a cell.
 */

/**
 * Lay a picture out.
 * @param {Picture} picture
 * @param {{width: number, height: number}} room In CSS pixels.
 * @returns {{left: number, top: number, cellWidth: number, cellHeight: number, width: number,
 *     height: number, rowStep: number, columnStep: number, rotated: boolean}}
 */
export function layout(picture, room) {
  const { rows, columns, rowAxis, columnAxis } = picture;
  const least = picture.least ?? { width: columns > 256 ? 1 : 2, height: rows > 256 ? 1 : 2 };
  const left = widest([...labels(rowAxis, rows), numbered(rowAxis, rows)]) + GAP;
  const most = picture.least ? 64 : 28;
  let cellWidth = snapped(Math.min(most, Math.max(least.width, (room.width - left - 1) / columns)));
  let cellHeight = snapped(Math.max(least.height, Math.min(20, room.height / rows)));
  if (picture.square) {
    const side = Math.min(cellWidth, snapped(Math.max(least.height, room.height / rows)));
    cellWidth = cellHeight = side;
  }
  const words = labels(columnAxis, columns);
  const longest = widest(words);
  const rotated = Boolean(columnAxis.labels) && longest + 2 > cellWidth && cellWidth >= 10 && longest > 10;
  const top = (rotated ? longest : 11) + GAP;
  return {
    left,
    top,
    cellWidth,
    cellHeight,
    rotated,
    width: left + columns * cellWidth + 1,
    height: top + rows * cellHeight + 1,
    rowStep: stepOf(9.8 / cellHeight),
    columnStep: columnStep(columnAxis, columns, cellWidth, rotated ? 10 : longest + 1),
  };
}

/**
 * Draw cells and axes.
 * @param {HTMLCanvasElement} canvas Becomes as large as the layout.
 * @param {Picture} picture
 * @param {Object} place What `layout` returned.
 */
export function paint(canvas, picture, place) {
  const dots = devicePixelRatio || 1;
  canvas.width = Math.round(place.width * dots);
  canvas.height = Math.round(place.height * dots);
  canvas.style.width = `${place.width}px`;
  canvas.style.height = `${place.height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(dots, 0, 0, dots, 0, 0);
  paintCells(context, picture, place);
  if (picture.text) paintTexts(context, picture, place);
  paintAxes(context, picture, place);
}

function paintCells(context, picture, { left, top, cellWidth, cellHeight }) {
  const { columns, rows } = picture;
  const image = new ImageData(columns, rows);
  paintPixels(new Uint32Array(image.data.buffer), picture.data, picture.scale);
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, left, top, columns * cellWidth, rows * cellHeight);
  context.strokeStyle = css("--line");
  context.strokeRect(left - 0.5, top - 0.5, columns * cellWidth + 1, rows * cellHeight + 1);
}

/**
 * Write the colours of numbers as pixels.
 * @param {Uint32Array} pixels
 * @param {ArrayLike<number>} data As many.
 * @param {Scale} scale
 */
export function paintPixels(pixels, data, scale) {
  const colours = scale.pixels;
  const last = colours.length - 1;
  for (let place = 0; place < pixels.length; place++) {
    const shade = scale.shade(data[place]);
    pixels[place] = colours[shade < 0 ? last : shade];
  }
}

function paintTexts(context, picture, { left, top, cellWidth, cellHeight }) {
  context.font = font();
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < picture.rows; row++) {
    for (let column = 0; column < picture.columns; column++) {
      const rgb = picture.scale.rgb(picture.data[row * picture.columns + column]);
      context.fillStyle = isLight(rgb) ? "#000" : "#fff";
      const [x, y] = [left + (column + 0.5) * cellWidth, top + (row + 0.5) * cellHeight + 0.5];
      context.fillText(picture.text(row, column), x, y, cellWidth - 2);
    }
  }
}

function paintAxes(context, picture, place) {
  context.font = font();
  context.fillStyle = css("--muted");
  context.textBaseline = "middle";
  for (const { x, y, text, anchor, rotated } of axisWords(picture, place)) {
    context.save();
    context.translate(x, y);
    if (rotated) context.rotate(-Math.PI / 2);
    context.textAlign = anchor === "middle" ? "center" : anchor;
    context.fillText(text, 0, 0.5);
    context.restore();
  }
}

/**
 * Return what stands beside rows and above columns, and where.
 * @param {Picture} picture
 * @param {Object} place What `layout` returned.
 * @returns {{x: number, y: number, text: string, anchor: string, rotated: boolean}[]} `anchor` as
 *     SVG calls it.
 */
export function axisWords(picture, place) {
  const { left, top, cellWidth, cellHeight, rowStep, columnStep, rotated } = place;
  const words = [];
  for (let row = 0; row < picture.rows; row += rowStep) {
    const text = label(picture.rowAxis, row, rowStep);
    words.push({ x: left - GAP / 2, y: top + (row + 0.5) * cellHeight, text, anchor: "end", rotated: false });
  }
  for (let column = 0; column < picture.columns; column += columnStep) {
    const x = left + (column + 0.5) * cellWidth;
    const y = top - GAP / 2 - (rotated ? 0 : 5);
    const text = label(picture.columnAxis, column, columnStep);
    words.push({ x, y, text, anchor: rotated ? "start" : "middle", rotated });
  }
  return words;
}

/** Where not each place has room for its word, numbers tell where one is. */
function label(axis, place, step) {
  return step === 1 && axis.labels ? axis.labels[place] : String((axis.start ?? 0) + place);
}

/** Words stand at each column or, if they are too wide, numbers at some. */
function columnStep(axis, size, cellWidth, width) {
  if (axis.labels && width <= cellWidth) return 1;
  const needed = stepOf((widest([numbered(axis, size)]) + 8) / cellWidth);
  return axis.labels ? Math.max(2, needed) : needed;
}

function labels(axis, size) {
  return axis.labels ?? [numbered(axis, size)];
}

function numbered(axis, size) {
  return String((axis.start ?? 0) + size - 1);
}

let ruler = null;

function widest(words) {
  ruler ??= new OffscreenCanvas(1, 1).getContext("2d");
  ruler.font = font();
  return Math.min(110, Math.ceil(Math.max(0, ...words.map((word) => ruler.measureText(word).width))));
}

function stepOf(least) {
  return STEPS.find((step) => step >= least) ?? Math.ceil(least);
}

/** Sizes are whole pixels of the device: else some cells come out wider than others. */
function snapped(size) {
  const dots = devicePixelRatio || 1;
  return Math.max(1, Math.floor(size * dots)) / dots;
}

function css(name) {
  return `rgb(${colour(name).join(" ")})`;
}

function font() {
  return "11px ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";
}
