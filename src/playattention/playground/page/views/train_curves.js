/**
 * The curves of a training, by plotly.js, which is loaded when they are first shown. Its styles
 * stand in views_live.css: a page that allows no styles from a script may not let it add them.
 */

import { colour } from "../colours.js";
import { h } from "../dom.js";
import { short } from "../numbers.js";

const AT_LEAST = 500; // milliseconds between two drawings
const LOSSES = [
  { name: "train_loss", title: "training, each step", colour: "--diverging-0", width: 1, opacity: 0.75 },
  { name: "eval_train_loss", title: "training, measured", colour: "--diverging-0", width: 2, mode: "lines+markers" },
  { name: "eval_val_loss", title: "validation", colour: "--accent", width: 2, mode: "lines+markers", error: "eval_val_standard_error" },
];
const SMALL = [
  { name: "learning_rate", title: "Learning rate" },
  { name: "gradient_norm", title: "Gradient norm" },
  { name: "tokens_per_second", title: "Tokens per second" },
];

let loaded = null;

/** The curves. */
export class Curves {
  #drawn = 0;
  #timer = null;
  #follow = null;
  #under = 0; // drawings

  constructor() {
    this.large = h("div", { class: "curve curve-large", role: "img", "aria-label": "Loss, not drawn yet" });
    this.small = SMALL.map(({ title }) => h("div", { class: "curve", role: "img", "aria-label": `${title}, not drawn yet` }));
    this.problem = h("p", { class: "hint" });
    this.element = h("div", { class: "curves" }, this.large, h("div", { class: "curves-small" }, this.small), this.problem);
    this.sized = new ResizeObserver(() => this.#resize());
  }

  /**
   * Show a training; not more often than can be seen.
   * @param {import("./train_follow.js").Follow} follow
   */
  show(follow) {
    this.#follow = follow;
    if (this.#timer) return;
    this.#busy(1);
    const wait = Math.max(0, AT_LEAST - (performance.now() - this.#drawn));
    this.#timer = setTimeout(() => this.draw(), wait);
  }

  /** Draw now, say in another theme. */
  async draw() {
    if (this.#timer) this.#busy(-1);
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#drawn = performance.now();
    this.#busy(1);
    try {
      const plotly = await plotlyJs();
      if (!this.element.isConnected || !this.#follow?.job) return;
      const { rows, job } = this.#follow;
      const look = theme();
      await plotly.react(this.large, losses(rows, job, look), layout("Loss in nats per token", look, job, true), CONFIG);
      label(this.large, "Loss", rows, LOSSES);
      for (const [place, told] of SMALL.entries()) {
        const element = this.small[place];
        await plotly.react(element, [line(rows, { ...told, colour: "--ink", width: 1.5 })], layout(told.title, look, job, false), CONFIG);
        label(element, told.title, rows, [told]);
      }
      for (const element of this.#all) this.sized.observe(element);
    } catch (error) {
      this.problem.textContent = `The curves can't be drawn: ${error.message}`;
    } finally {
      this.#busy(-1);
    }
  }

  async #resize() {
    this.#busy(1);
    const drawn = this.#all.filter((element) => element.isConnected && element.offsetWidth);
    await Promise.allSettled(drawn.map((element) => globalThis.Plotly.Plots.resize(element)));
    this.#busy(-1);
  }

  get #all() {
    return [this.large, ...this.small];
  }

  /** Tell who waits, and who does not see it, whether a drawing is under way. */
  #busy(more) {
    this.#under += more;
    this.element.setAttribute("aria-busy", String(this.#under > 0));
  }

  /** Give the curves back. */
  end() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#follow = null;
    this.sized.disconnect();
    for (const element of this.#all) globalThis.Plotly?.purge(element);
  }
}

const STYLES = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];
const CONFIG = { displayModeBar: false, showTips: false };

function plotlyJs() {
  loaded ??= new Promise((resolve, reject) => {
    // Where plotly.js finds these, it adds no styles: its own, and those of the maps in it.
    document.head.append(...STYLES.map((id) => h("meta", { id, class: "no-inline-styles" })));
    const script = h("script", { src: "plotly.js", onload: () => resolve(globalThis.Plotly) });
    script.addEventListener("error", () => {
      loaded = null;
      reject(new Error("plotly.js did not come; pip install plotly"));
    });
    document.head.append(script);
  });
  return loaded;
}

function losses(rows, job, look) {
  const lines = LOSSES.map((told) => line(rows, told));
  if (job.floor === null) return lines;
  const end = Math.max(job.planned, rows.at(-1)?.step ?? 1);
  const floor = { x: [0, end], y: [job.floor, job.floor], mode: "lines", name: "entropy of the text: no model gets below", line: { color: look.ink, width: 1, dash: "dash" } };
  return [...lines, { ...floor, hoverinfo: "skip" }];
}

function line(rows, { name, title, colour: variable, width, opacity = 1, mode = "lines", error }) {
  const known = rows.filter((row) => row[name] !== null);
  const color = css(variable);
  return {
    x: known.map(({ step }) => step),
    y: known.map((row) => row[name]),
    mode,
    name: title,
    opacity,
    line: { color, width },
    marker: { color, size: 5 },
    error_y: error ? { type: "data", array: known.map((row) => 2 * (row[error] ?? 0)), color, thickness: 1, width: 2 } : undefined,
    hovertemplate: `%{y:.4g}<extra>${title}</extra>`,
  };
}

function layout(title, look, job, isLarge) {
  const axis = { gridcolor: look.line, zerolinecolor: look.line, linecolor: look.strong, tickcolor: look.strong, automargin: true };
  return {
    title: { text: title, font: { size: 13 }, x: 0, xref: "paper", xanchor: "left", y: 1, yref: "container", yanchor: "top", pad: { t: 6 } },
    font: { family: look.font, size: 11, color: look.ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 40, r: 12, t: 28, b: 32 },
    showlegend: isLarge,
    legend: { orientation: "h", x: 0, y: -0.16, yanchor: "top" },
    hovermode: "x unified",
    hoverlabel: { bgcolor: look.card, bordercolor: look.line, font: { color: look.ink } },
    xaxis: { ...axis, range: [0, Math.max(1, job.planned)], title: isLarge ? { text: "step", standoff: 4 } : undefined },
    yaxis: { ...axis, rangemode: isLarge ? "normal" : "tozero" },
    uirevision: job.name,
  };
}

function theme() {
  const font = getComputedStyle(document.body).fontFamily;
  return { ink: css("--ink"), line: css("--line"), strong: css("--strong-line"), card: css("--card"), font };
}

function css(variable) {
  return `rgb(${colour(variable).join(",")})`;
}

/** Tell the last numbers of a curve to who does not see it. */
function label(element, title, rows, columns) {
  const words = columns.map(({ name, title: column }) => {
    const row = rows.findLast((one) => one[name] !== null);
    return row ? `${column} ${short(row[name])} at step ${row.step}` : null;
  });
  element.setAttribute("aria-label", [title, ...words.filter(Boolean)].join("; "));
}
