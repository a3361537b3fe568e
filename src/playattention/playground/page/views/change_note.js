/** What of the model is changed, told as long as it is, with a way to take it back. */

import { fill, h } from "../dom.js";
import * as state from "../state.js";
import { changed, told, wordsOf } from "./change_words.js";

/**
 * Return a bar that stays in sight while a change is on, in whatever view.
 * @returns {HTMLElement}
 */
export function changeNote() {
  const list = h("ul", { class: "change-words" });
  const undo = h("button", { type: "button", class: "undo", onclick: () => state.set({ change: null }, { push: true }) }, "Undo all");
  const title = h("b", { class: "change-title" }, "Change is on");
  const element = h("aside", { class: "change-note", "aria-label": "Change" }, title, list, undo);
  let drawn = null;
  const draw = () => {
    const { change } = state.get();
    const words = wordsOf(change);
    if (change === drawn) return;
    drawn = change;
    const inside = element.contains(document.activeElement);
    const at = [...list.children].findIndex((one) => one.contains(document.activeElement));
    fill(list, words.map(chip));
    if (inside && !words.length) document.getElementById("view").focus({ preventScroll: true });
    else if (at >= 0) list.children[Math.min(at, words.length - 1)].querySelector("button").focus();
    element.hidden = !words.length;
  };
  draw();
  state.subscribe(draw);
  return element;
}

function chip(word) {
  const drop = () => state.set({ change: changed(state.get().change, { drop: [word] }) }, { push: true });
  const button = h("button", { type: "button", class: "quiet", "aria-label": `Undo: ${told(word)}`, onclick: drop }, "×");
  return h("li", { class: "change-word", title: word }, told(word), button);
}
