/** The text as the model sees it: tokens with their ids, to point at and to select. */

import { isLight } from "./colours.js";
import { fill, h, rest, reveal, roving } from "./dom.js";
import { visible } from "./names.js";

/** The strip of tokens. */
export class Tokens {
  #all = [];
  #words = [];
  #pos = null;

  /**
   * @param {Object} told
   * @param {function(number)} told.onSelect Called with a position.
   * @param {function(number|null)} told.onHover Called with the position pointed at.
   */
  constructor({ onSelect, onHover }) {
    const place = (event) => {
      const token = event.target.closest(".token");
      return token ? Number(token.dataset.pos) : null;
    };
    this.element = h("div", {
      class: "tokens",
      role: "group",
      "aria-label": "Tokens of the text; select a position",
      onclick: (event) => place(event) !== null && onSelect(place(event)),
      onpointerover: (event) => onHover(place(event)),
      onpointerleave: () => onHover(null),
      onfocusin: (event) => onHover(place(event)),
      onfocusout: () => onHover(null),
    });
    roving(this.element, ".token", { columns: () => this.#columns() });
  }

  /**
   * Show tokens.
   * @param {{id: number, text: string, bytes?: number[]}[]} tokens
   * @param {number} pos The one that is selected.
   */
  show(tokens, pos) {
    const others = !same(tokens, this.#words);
    if (others) {
      this.#words = tokens;
      this.#all = tokens.map(button);
      fill(this.element, this.#all);
    }
    this.#all.forEach((token, place) => token.setAttribute("aria-pressed", String(place === pos)));
    if (!this.element.contains(document.activeElement)) {
      rest(this.element, ".token", this.#all[pos]);
    }
    if (others || pos !== this.#pos) reveal(this.element, this.#all[pos]);
    this.#pos = pos;
  }

  /**
   * Colour tokens by numbers; both text and ids.
   * @param {ArrayLike<number>|null} numbers One for each; null takes the colours off.
   * @param {import("./colours.js").Scale} [scale]
   */
  shade(numbers, scale) {
    this.#all.forEach((token, place) => {
      const number = numbers?.[place];
      const known = number !== undefined && Number.isFinite(number);
      token.classList.toggle("shaded", known);
      if (!known) return;
      token.style.setProperty("--shade", scale.css(number));
      token.style.setProperty("--shade-ink", isLight(scale.rgb(number)) ? "#000" : "#fff");
    });
  }

  /**
   * Light up tokens, say those of a row and a column that are pointed at.
   * @param {(number|null)[]} places
   */
  highlight(places) {
    this.#all.forEach((token, place) => token.classList.toggle("lit", places.includes(place)));
  }

  #columns() {
    const top = this.#all[0]?.offsetTop;
    const next = this.#all.findIndex((token) => token.offsetTop !== top);
    return next < 0 ? this.#all.length : next;
  }
}

function button(token, place) {
  const word = visible(token);
  return h(
    "button",
    {
      class: "token",
      type: "button",
      dataset: { pos: place, id: token.id },
      title: `position ${place}: ${JSON.stringify(token.text)}, id ${token.id}`,
      "aria-label": `${word} ${token.id}, ${spoken(token)}position ${place}`,
    },
    h("span", { class: "token-text" }, word),
    " ",
    h("span", { class: "token-id" }, token.id),
  );
}

function spoken({ text }) {
  const word = { " ": "blank", "\n": "line end" }[text];
  return word ? `${word}, ` : "";
}

function same(tokens, others) {
  return tokens.length === others.length && tokens.every((token, at) => token.id === others[at].id);
}
