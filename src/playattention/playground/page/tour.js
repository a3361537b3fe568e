/**
 * A short tour: cards that open views and light up what they speak of. The page stays as usable
 * as it is; Escape ends the tour at any time.
 */

import { announce, fill, h, still } from "./dom.js";
import * as state from "./state.js";

const KEY = "playattention-tour";

/**
 * @typedef {Object} Card
 * @property {string} title
 * @property {string} text
 * @property {string} target Selectors of what is lit up, the best first, divided by "|".
 * @property {Object} [patch] What is selected for it.
 */

/** @type {Card[]} */
const CARDS = [
  {
    title: "Your text",
    text: "The model reads what stands here. Change a letter, and everything below is computed anew. Each box is a token: what it says, and its number.",
    target: ".tokens|#text",
  },
  {
    title: "From text to prediction",
    text: "Each card is a variable of the model's own source, in the order in which it came to be. Open one: its numbers, and the line that made them.",
    target: ".lanes",
    patch: { view: "flow" },
  },
  {
    title: "Every number has its arithmetic",
    text: "Click any cell, or press Enter on it: which numbers it comes from, the formula, the line of source, and the result once more. Its operands open in turn.",
    target: ".heatmap|.open-stage",
    patch: { view: "flow" },
  },
  {
    title: "One selection",
    text: "Layer, head and position are the same in all views. Run, checkpoint and text, too. All of it stands in the address: copy that to share what you see.",
    target: ".steppers",
  },
  {
    title: "All heads at a glance",
    text: "A row is a token that looks, a column one that is looked at. Find the head with a diagonal just below the main one: it looks at the token before.",
    target: ".maps|#view",
    patch: { view: "heads" },
  },
  {
    title: "What it expects, everywhere",
    text: "At each position: which tokens the model thinks likely, what the true one cost it, and how its guess forms from layer to layer.",
    target: "#view .card",
    patch: { view: "positions" },
  },
  {
    title: "Let it write",
    text: "Step draws one token. The columns show how: scores, divided by the temperature, filtered, made probabilities.",
    target: ".writing|#view",
    patch: { view: "generate" },
  },
  {
    title: "Train your own",
    text: "Start a training here and watch it learn; it goes on when you close the page. Then look into it with all the views. That is all: have fun.",
    target: ".begin|#view",
    patch: { view: "train" },
  },
];

/**
 * Put a button for the tour into the page.
 * @param {Element} place Where it stands, at the end.
 * @param {{id: string}[]} views Those there are: cards about others are left out.
 * @returns {Tour}
 */
export function addTour(place, views) {
  const ids = views.map(({ id }) => id);
  return new Tour(place, CARDS.filter(({ patch }) => !patch || ids.includes(patch.view)));
}

/** The tour. */
export class Tour {
  #number = -1;
  #lit = null;
  #wait = 0;

  /**
   * @param {Element} place Where its button stands.
   * @param {Card[]} cards
   */
  constructor(place, cards) {
    this.cards = cards;
    const fresh = seen() ? "" : "tour-new";
    this.button = h("button", { type: "button", class: `quiet tour ${fresh}`, onclick: () => this.go(0) }, "Tour");
    place.append(this.button);
  }

  /**
   * Show a card.
   * @param {number} number Beyond the last one: the end.
   */
  go(number) {
    if (number >= this.cards.length) return this.end();
    const isFirst = this.#number < 0;
    this.#number = number;
    this.#remember();
    const card = this.cards[number];
    if (card.patch) state.set({ ...card.patch, index: null, operand: null });
    if (isFirst) this.#open();
    this.#write(card);
    this.#light(card);
  }

  /** End it; the focus goes back to its button. */
  end() {
    if (this.#number < 0) return;
    this.#number = -1;
    clearTimeout(this.#wait);
    this.#dim();
    const inside = this.element.contains(document.activeElement);
    this.element.remove();
    if (inside) this.button.focus();
    announce("The tour has ended");
  }

  #open() {
    this.element = h("section", {
      class: "tour-card",
      role: "dialog",
      "aria-modal": "false",
      "aria-labelledby": "tour-title",
      "aria-describedby": "tour-text",
      onkeydown: (event) => this.#key(event),
    });
    document.body.append(this.element);
  }

  #write({ title, text }) {
    const last = this.#number === this.cards.length - 1;
    const button = (name, number, disabled = false) => h("button", { type: "button", disabled, onclick: () => this.go(number) }, name);
    const heading = h("h2", { id: "tour-title", tabindex: -1 }, title);
    fill(
      this.element,
      heading,
      h("p", { id: "tour-text" }, text),
      h(
        "div",
        { class: "buttons" },
        h("span", { class: "hint" }, `${this.#number + 1} of ${this.cards.length}`),
        h("span", { class: "buttons" },
          h("button", { type: "button", class: "quiet", onclick: () => this.end() }, last ? "Close" : "Skip"),
          button("Back", this.#number - 1, this.#number === 0),
          button(last ? "Done" : "Next", this.#number + 1)),
      ),
    );
    heading.focus({ preventScroll: true });
  }

  /** Light up what the card is about; its view may be drawn only in a while, and once more. */
  #light(card, tries = 40) {
    clearTimeout(this.#wait);
    const names = card.target.split("|");
    const found = names.map((name) => document.querySelector(name)).find((one) => one?.getClientRects().length) ?? null;
    if (tries) this.#wait = setTimeout(() => this.#light(card, tries - 1), 100);
    if (found === this.#lit && found?.classList.contains("tour-lit")) return;
    this.#dim();
    this.#lit = found;
    if (!found) return;
    found.classList.add("tour-lit");
    found.scrollIntoView({ block: "nearest", behavior: still() ? "auto" : "smooth" });
    this.#stepAside(found);
  }

  /** Stand on the side where it hides less. */
  #stepAside(found) {
    const { left, right, bottom } = found.getBoundingClientRect();
    const below = bottom > innerHeight - this.element.offsetHeight;
    const leans = (left + right) / 2 > innerWidth / 2 + 1;
    this.element.classList.toggle("tour-left", below && leans);
  }

  #dim() {
    this.#lit?.classList.remove("tour-lit");
    this.#lit = null;
  }

  #key(event) {
    const go = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") this.end();
    else if (go && this.#number + go >= 0) this.go(this.#number + go);
    else return;
    event.preventDefault();
  }

  #remember() {
    this.button.classList.remove("tour-new");
    try {
      localStorage.setItem(KEY, "seen");
    } catch {
      // a browser may forbid it: then the button is marked as new next time
    }
  }
}

function seen() {
  try {
    return localStorage.getItem(KEY) === "seen";
  } catch {
    return false;
  }
}
