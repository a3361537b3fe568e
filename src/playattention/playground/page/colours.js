/**
 * Scales of colour: numbers to colours and back to a legend. The stops are CSS variables
 * (style.css), so that both themes are written in one place; between them the colours go through
 * OKLab, where equal steps look equal.
 */

/** The scales: how many stops each has, and whether it has a middle at zero. */
const KINDS = {
  diverging: { stops: 5, middle: true }, // activations: below and above zero
  weights: { stops: 4, middle: false }, // weights and probabilities: from zero on
  surprise: { stops: 4, middle: false }, // losses: from zero on
};

const SHADES = 256;
const ramps = new Map();
const named = new Map();

/** Forget the colours: the theme has changed. */
export function forgetColours() {
  ramps.clear();
  named.clear();
}

/**
 * Return a colour of style.css as it is in this theme.
 * @param {string} name A CSS variable: "--ink".
 * @returns {number[]} Red, green and blue, 0 to 255.
 */
export function colour(name) {
  if (!named.has(name)) named.set(name, computed(name));
  return named.get(name);
}

function computed(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.documentElement.append(probe);
  const found = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  probe.remove();
  return found;
}

/**
 * Return the least and the greatest finite number, and what else there is.
 * @param {ArrayLike<number>} data
 * @returns {{low: number, high: number, special: number[]}} `special` of NaN, −∞ and ∞ those met.
 */
export function measure(data) {
  let low = Infinity;
  let high = -Infinity;
  const special = new Set();
  for (let place = 0; place < data.length; place++) {
    const number = data[place];
    if (!Number.isFinite(number)) special.add(number);
    else {
      if (number < low) low = number;
      if (number > high) high = number;
    }
  }
  return low > high ? { low: 0, high: 0, special: [...special] } : { low, high, special: [...special] };
}

/**
 * Tell which scale fits: weights for rows that are probabilities, else around zero.
 * @param {ArrayLike<number>} data
 * @param {number} columns Length of a row.
 * @returns {"weights"|"diverging"}
 */
export function fitting(data, columns) {
  const rows = Math.min(8, data.length / columns);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) {
      const number = data[row * columns + column];
      if (!(number >= 0 && number <= 1)) return "diverging";
      sum += number;
    }
    if (Math.abs(sum - 1) > 1e-3) return "diverging";
  }
  return data.length ? "weights" : "diverging";
}

/**
 * Return a scale over the range that data has.
 * @param {ArrayLike<number>} data
 * @param {string} kind "diverging", "weights" or "surprise".
 * @param {{low?: number, high?: number}} [range] Another range, where several pictures share one.
 * @returns {Scale}
 */
export function scaleOf(data, kind, range = {}) {
  const found = { ...measure(data), ...range };
  return new Scale(kind, found.low, found.high, found.special);
}

/** Numbers to colours. */
export class Scale {
  /**
   * @param {string} kind "diverging", "weights" or "surprise".
   * @param {number} low The least number.
   * @param {number} high The greatest.
   * @param {number[]} [special] What else there is: NaN, −∞, ∞.
   */
  constructor(kind, low, high, special = []) {
    Object.assign(this, { kind, low, high, special });
    const { middle } = KINDS[kind];
    const size = Math.max(Math.abs(low), Math.abs(high)) || 1;
    /** What the first and the last colour of the ramp stand for. */
    this.from = middle ? -size : 0;
    this.to = middle ? size : high || 1;
  }

  /**
   * Return where on the ramp a number stands.
   * @param {number} number
   * @returns {number} 0 to 255; -1: it is not finite.
   */
  shade(number) {
    if (!Number.isFinite(number)) return -1;
    const place = Math.round(((number - this.from) / (this.to - this.from)) * (SHADES - 1));
    return Math.max(0, Math.min(SHADES - 1, place));
  }

  /**
   * Return a number's colour.
   * @param {number} number
   * @returns {string} For CSS and canvas.
   */
  css(number) {
    return `rgb(${this.rgb(number).join(" ")})`;
  }

  /**
   * Return a number's colour.
   * @param {number} number
   * @returns {number[]} Red, green and blue, 0 to 255.
   */
  rgb(number) {
    const { ramp, special } = colours(this.kind);
    const shade = this.shade(number);
    return shade < 0 ? special : ramp[shade];
  }

  /** @returns {Uint32Array} The colours as pixels; the last stands for what is not finite. */
  get pixels() {
    return colours(this.kind).pixels;
  }
}

/**
 * Tell whether dark writing is read better than light on a colour.
 * @param {number[]} rgb
 * @returns {boolean}
 */
export function isLight(rgb) {
  const [red, green, blue] = rgb.map((part) => linear(part / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18;
}

function colours(kind) {
  if (!ramps.has(kind)) {
    const stops = Array.from({ length: KINDS[kind].stops }, (_, place) => colour(`--${kind}-${place}`));
    const ramp = Array.from({ length: SHADES }, (_, place) => between(stops, place / (SHADES - 1)));
    const special = colour("--not-finite");
    const pixels = Uint32Array.from([...ramp, special], ([r, g, b]) => (0xff << 24) | (b << 16) | (g << 8) | r);
    ramps.set(kind, { ramp, special, pixels });
  }
  return ramps.get(kind);
}

function between(stops, place) {
  const exact = place * (stops.length - 1);
  const first = Math.min(stops.length - 2, Math.floor(exact));
  const [one, other] = [stops[first], stops[first + 1]].map(oklab);
  const share = exact - first;
  return rgb(one.map((part, axis) => part + share * (other[axis] - part)));
}

// OKLab: Björn Ottosson 2020, "A perceptual color space for image processing".
const TO_LMS = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_LAB = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
];
const FROM_LAB = [
  [1, 0.3963377774, 0.2158037573],
  [1, -0.1055613458, -0.0638541728],
  [1, -0.0894841775, -1.291485548],
];
const FROM_LMS = [
  [4.0767416621, -3.3077115913, 0.2309699292],
  [-1.2684380046, 2.6097574011, -0.3413193965],
  [-0.0041960863, -0.7034186147, 1.707614701],
];

function oklab(rgb) {
  return times(TO_LAB, times(TO_LMS, rgb.map((part) => linear(part / 255))).map(Math.cbrt));
}

function rgb(lab) {
  const light = times(FROM_LMS, times(FROM_LAB, lab).map((part) => part ** 3));
  return light.map((part) => Math.round(255 * Math.max(0, Math.min(1, gamma(part)))));
}

function times(matrix, vector) {
  return matrix.map((row) => row.reduce((sum, entry, axis) => sum + entry * vector[axis], 0));
}

function linear(part) {
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

function gamma(part) {
  return part <= 0.0031308 ? 12.92 * part : 1.055 * part ** (1 / 2.4) - 0.055;
}
