/** A picture to keep: what a heatmap shows, as PNG or as SVG. */

import { colour } from "./colours.js";
import { h } from "./dom.js";
import { axisWords, paintPixels } from "./heatmap_paint.js";

const MOST_RECTANGLES = 20_000; // a larger matrix stands in the SVG as an image

/**
 * Return buttons that save what a heatmap shows.
 * @param {function(): {canvas: HTMLCanvasElement, picture: Object, place: Object}} shown
 * @returns {HTMLElement}
 */
export function saveButtons(shown) {
  const button = (kind, save) =>
    h("button", { class: "quiet save", type: "button", title: `Save as ${kind}`, onclick: () => save(shown()) }, kind);
  return h("span", { class: "saves" }, button("PNG", savePng), button("SVG", saveSvg));
}

function savePng({ canvas, picture }) {
  const copy = h("canvas", { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d");
  context.fillStyle = css("--card"); // a picture without ground is lost on a dark page
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  copy.toBlob((blob) => download(blob, `${name(picture)}.png`));
}

function saveSvg({ picture, place }) {
  download(new Blob([svg(picture, place)], { type: "image/svg+xml" }), `${name(picture)}.svg`);
}

function svg(picture, place) {
  const { width, height } = place;
  const words = axisWords(picture, place).map(({ x, y, text, anchor, rotated }) => {
    const turn = rotated ? ` transform="rotate(-90 ${x} ${y})"` : "";
    return `<text x="${x}" y="${y}" text-anchor="${anchor}"${turn}>${escaped(text)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>${escaped(picture.label)}</title>`,
    `<rect width="100%" height="100%" fill="${css("--card")}"/>`,
    `<g shape-rendering="crispEdges">${cells(picture, place)}</g>`,
    `<g fill="${css("--muted")}" font-family="monospace" font-size="11" dominant-baseline="central">`,
    ...words,
    "</g></svg>",
  ].join("\n");
}

function cells(picture, place) {
  const { data, rows, columns, scale } = picture;
  if (rows * columns > MOST_RECTANGLES) return image(picture, place);
  const { left, top, cellWidth, cellHeight } = place;
  const found = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const [x, y] = [left + column * cellWidth, top + row * cellHeight];
      const fill = scale.css(data[row * columns + column]);
      found.push(`<rect x="${x}" y="${y}" width="${cellWidth}" height="${cellHeight}" fill="${fill}"/>`);
    }
  }
  return found.join("");
}

function image({ data, rows, columns, scale }, { left, top, cellWidth, cellHeight }) {
  const canvas = h("canvas", { width: columns, height: rows });
  const pixels = new ImageData(columns, rows);
  paintPixels(new Uint32Array(pixels.data.buffer), data, scale);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const size = `width="${columns * cellWidth}" height="${rows * cellHeight}"`;
  return `<image x="${left}" y="${top}" ${size} preserveAspectRatio="none" image-rendering="pixelated" href="${canvas.toDataURL()}"/>`;
}

function download(blob, file) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function name({ label }) {
  return label.split(/[,:] /)[0].replaceAll(/[^\w.-]+/g, "_").slice(0, 80);
}

function css(variable) {
  return `rgb(${colour(variable).join(" ")})`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
