/** How numbers are written: four significant digits, all of them on demand. */

import { h } from "./dom.js";

const WORDS = { inf: "∞", "-inf": "−∞", nan: "not a number" };

/**
 * Write a number with four significant digits.
 * @param {number|string|null|undefined} number What is not finite may come as text.
 * @returns {string}
 */
export function short(number) {
  return written(number, (finite) => {
    const size = Math.abs(finite);
    if (Number.isInteger(finite) && size < 1e7) return String(finite);
    if (size < 1e-4 || size >= 1e7) return finite.toExponential(3);
    return size >= 1e4 ? finite.toFixed(0) : finite.toPrecision(4);
  });
}

/**
 * Write a number with all its digits.
 * @param {number|string|null|undefined} number As in `short`.
 * @returns {string}
 */
export function full(number) {
  return written(number, String);
}

function written(number, finite) {
  if (number === null || number === undefined) return "—";
  if (typeof number === "string") return WORDS[number] ?? number;
  if (Number.isNaN(number)) return WORDS.nan;
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  return finite(number).replaceAll("-", "−");
}

/**
 * Show a number: four digits to read, all of them to a pointer, a program and the clipboard.
 * @param {number|string|null|undefined} number
 * @param {string} [kind] A class.
 * @returns {HTMLElement}
 */
export function data(number, kind = "") {
  return h("data", { value: number ?? "", class: `number ${kind}`, title: full(number) }, short(number));
}

/**
 * Write a share as a percentage.
 * @param {number} share From 0 to 1.
 * @returns {string}
 */
export function percent(share) {
  const number = 100 * share;
  if (number > 0 && number < 0.1) return "< 0.1 %";
  if (number > 99.9 && number < 100) return "> 99.9 %";
  return `${number.toFixed(number > 0 && number < 100 ? 1 : 0)} %`;
}

/**
 * Write a shape: `1 × 12 × 32`.
 * @param {Array<number|string>} sizes
 * @returns {string}
 */
export function sizes(sizes) {
  return sizes.length ? sizes.join(" × ") : "one number";
}
