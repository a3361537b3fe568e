/** The flow as cards, one for each value, in lanes that follow the nesting of the modules. */

import { fitting, scaleOf } from "../colours.js";
import { h, liken, rest, reveal, roving } from "../dom.js";
import { keyOf, part, variable } from "../names.js";
import { choose } from "../selection.js";
import * as state from "../state.js";
import { LEVELS } from "../structure.js";
import { thumbnail } from "../thumbnail.js";

/** The key of the stage after the model's own: what its scores say of the next token. */
export const NEXT = "next";

const MOST_CELLS = 200_000; // of a value that is drawn small

/** All lanes. */
export class Lanes {
  #context = null;
  #drawn = ""; // the layer and the head whose cards there are
  #painted = null; // and those whose pictures
  #paintedOf = null;
  #revealed = null;

  /** @param {function(string)} onOpen Called with the key of a card. */
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.element = h("div", { class: "lanes", onclick: (event) => this.#click(event) });
    roving(this.element, ".stage");
  }

  /**
   * Show the values of a look.
   * @param {import("./index.js").Context} context
   * @param {string} open The key of the open one.
   */
  show(context, open) {
    const { look, state: chosen } = context;
    const members = `${chosen.layer} ${chosen.head}`;
    const same = look === this.#context?.look && members === this.#drawn;
    this.#context = context;
    this.#drawn = members;
    // The cards of another layer or head take the places of those there were.
    if (!same) liken(this.element, this.#lanes(look.structure.items));
    for (const card of this.cards) card.setAttribute("aria-pressed", String(card.dataset.key === open));
    const current = this.cards.find((card) => card.dataset.key === open);
    const focused = document.activeElement?.closest(".stage");
    rest(this.element, ".stage", this.element.contains(focused) ? focused : current);
    if (current && current !== this.#revealed) reveal(this.element, current);
    this.#revealed = current;
  }

  /** @returns {HTMLElement[]} The cards, in their order. */
  get cards() {
    return [...this.element.querySelectorAll(".stage")];
  }

  /**
   * Draw the small pictures.
   * @param {import("./index.js").Context} context
   */
  async draw(context) {
    const { look, signal, state: chosen, changed } = context;
    if (this.#painted === this.#drawn && look === this.#paintedOf && !changed.has("theme")) return;
    const cards = this.cards.filter((card) => small(look.value(card.dataset.key)));
    if (!cards.length) return;
    const values = cards.map((card) => look.value(card.dataset.key));
    const found = await look.matrices(values, chosen.head, signal);
    for (const [place, card] of cards.entries()) {
      const { data, columns } = found[place];
      thumbnail(card.querySelector("canvas"), found[place], scaleOf(data, fitting(data, columns)));
    }
    [this.#painted, this.#paintedOf] = [this.#drawn, look];
  }

  #lanes(items) {
    const lanes = [];
    let plain = [];
    const end = (title) => {
      if (plain.length) lanes.push(lane(title, plain));
      plain = [];
    };
    for (const item of items) {
      if (item.kind === "family") {
        end("In");
        lanes.push(this.#familyLane(item));
      } else plain.push(...[this.#item(item)].flat());
    }
    plain.push(this.#card(NEXT, "probabilities", "", null, "weights"));
    end("Out");
    return lanes;
  }

  #familyLane(family) {
    const { chosen, picker } = this.#family(family);
    const inner = [...chosen.group.items, ...chosen.after].map((item) => this.#item(item));
    return lane([h("code", {}, family.stem), " ", picker], inner);
  }

  #item(item) {
    if (item.kind === "value") return this.#value(item.value);
    if (item.kind === "elements") return this.#value(item.values[this.#number(item.level, item.values.length)]);
    if (item.kind === "group") return group(h("code", {}, item.label), item.items.map((one) => this.#item(one)));
    if (item.kind === "function") return group(h("code", {}, `${item.name}()`), item.items.map((one) => this.#item(one)), "group-function");
    const { chosen, picker } = this.#family(item);
    const heading = [h("code", {}, item.stem), " ", picker];
    return [group(heading, chosen.group.items.map((one) => this.#item(one))), chosen.after.map((one) => this.#item(one))];
  }

  /** Choose one of the modules alike, and offer the others. */
  #family({ level, stem, members }) {
    const number = this.#number(level, members.length);
    const buttons = members.map((member, place) =>
      h(
        "button",
        {
          class: "member",
          type: "button",
          dataset: { number: member.number, level },
          "aria-pressed": String(place === number),
          "aria-label": `${stem} ${member.number}`,
          disabled: level >= LEVELS.length,
        },
        member.number,
      ),
    );
    const picker = h("span", { class: "members", role: "group", "aria-label": stem }, buttons);
    roving(picker, ".member");
    rest(picker, ".member", buttons[number]);
    return { chosen: members[number], picker };
  }

  #click(event) {
    const card = event.target.closest(".stage");
    if (card) return this.onOpen(card.dataset.key);
    const member = event.target.closest(".member");
    if (!member) return;
    const place = [...member.parentElement.children].indexOf(member);
    state.set(choose(this.#context.look, state.get(), { [LEVELS[member.dataset.level]]: place }), { push: false });
  }

  #number(level, size) {
    return Math.min(this.#context.state[LEVELS[level]] ?? 0, size - 1);
  }

  #value(value) {
    const symbols = value.shape.map((size, place) => this.#context.look.symbol(value, place) ?? size);
    const inner = symbols.filter((symbol) => symbol !== "B");
    return this.#card(keyOf(value), value.name, inner.join(" × "), value.shape, part(variable(value)));
  }

  #card(key, name, shape, size, kind) {
    const [width, height] = size ? [side(size.at(-1) ?? 1), side(size.at(-2) ?? 1)] : [32, 6];
    return h(
      "button",
      {
        class: `stage ${kind ? `part-${kind}` : ""} ${name.startsWith("return") ? "returned" : ""}`,
        type: "button",
        dataset: { key },
        title: size ? `${key.split(":")[0]} ${name}: ${size.join(" × ") || "one number"}` : name,
      },
      h("span", { class: "stage-picture" }, h("canvas", { width, height, "aria-hidden": "true" })),
      h("code", { class: "stage-name" }, name),
      h("span", { class: "stage-shape" }, shape || " "),
    );
  }
}

function small(value) {
  return value && value.shape.reduce((product, size) => product * size, 1) <= MOST_CELLS;
}

function lane(heading, items) {
  return h(
    "section",
    { class: "lane" },
    h("p", { class: "lane-title" }, heading),
    h("div", { class: "lane-items" }, items),
  );
}

function group(heading, items, kind = "") {
  return h(
    "div",
    { class: `group ${kind}` },
    h("div", { class: "group-title" }, heading),
    h("div", { class: "lane-items" }, items),
  );
}

/** Sides grow by the root of the sizes: a feed-forward's width fits beside a head's. */
function side(size) {
  return Math.round(Math.max(5, Math.min(88, 4 * Math.sqrt(size))));
}
