/** One exercise: what to write and where, what can be done, and what the last check found. */

import { fill, h } from "../dom.js";
import * as state from "../state.js";
import { redraw } from "./cells.js";
import { Pictures } from "./learn_pictures.js";

const PARTS = ["observed", "evidence", "cause", "read"];

/** The panel. */
export class Lesson {
  #doing = false;

  /** @param {function(string): Promise} act Has "start", "check" or "hint" done. */
  constructor(act) {
    const button = (words, what) => h("button", { type: "button", onclick: () => this.#act(act, what) }, words);
    this.buttons = { start: button("Start", "start"), check: button("Check now", "check"), hint: button("", "hint") };
    this.title = h("h2", {});
    this.goal = h("p", { class: "lesson-goal" });
    this.stub = h("div", {});
    this.file = h("p", {});
    this.busy = h("p", { class: "hint lesson-busy" });
    this.hints = h("ol", { class: "hints" });
    this.verdict = h("div", { class: "verdict" });
    this.pictures = new Pictures();
    const row = h("div", { class: "buttons" }, Object.values(this.buttons));
    const task = h("section", { class: "card lesson-task", "aria-label": "The exercise" }, this.title, this.goal, this.stub, this.file, row, this.hints);
    this.found = h("section", { class: "card lesson-found", "aria-label": "The last check" }, this.busy, this.verdict, this.pictures.element);
    this.element = h("div", { class: "lesson-panel", hidden: true }, task, this.found);
  }

  /**
   * Show an exercise.
   * @param {Object} one Of /api/exercises/NAME.
   */
  show(one) {
    this.element.hidden = false;
    const { start, check, hint } = this.buttons;
    const there = one.state !== "not started";
    const moves = document.activeElement === start && there;
    start.hidden = there;
    check.hidden = !there;
    if (moves) check.focus();
    const given = one.hints_told.length;
    hint.ariaDisabled = given === one.hints_there ? "true" : null;
    fill(hint, hint.ariaDisabled ? "No more hints" : `Hint ${given + 1} of ${one.hints_there}`);
    fill(this.hints, one.hints_told.map((told) => h("li", {}, told)));
    redraw(this.title, [one.name, one.state], () => [`${one.number}. ${one.title} `, h("span", { class: "state", dataset: { state: one.state } }, one.state)]);
    fill(this.goal, one.goal, one.follows && ` It follows ${one.follows}.`);
    redraw(this.stub, [one.name, there], () => [
      h("details", { open: !there }, h("summary", {}, "What to write, with its shapes"), h("pre", { class: "stub", tabindex: 0, role: "group", "aria-label": "The file at its start" }, one.stub)),
      h("p", { class: "hint" }, "To read: ", h("code", {}, one.read)),
    ]);
    const path = h("code", { class: "path" }, one.path);
    fill(this.file, there ? ["Your file: ", path, ". Open it in your editor; each time you save it, it is checked."] : ["Start puts your file here: ", path]);
    this.#tell(one);
  }

  /**
   * Tell whether its file is being checked.
   * @param {boolean} busy
   */
  check(busy) {
    const words = busy ? "Checking …" : "";
    if (this.busy.textContent !== words) fill(this.busy, words);
    this.verdict.classList.toggle("old", busy);
  }

  /** Draw once more: the theme has changed. */
  repaint() {
    this.pictures.repaint();
  }

  async #act(act, what) {
    if (this.#doing || this.buttons[what].ariaDisabled) return; // disabled, it would lose the focus
    this.#doing = true;
    if (what === "check") this.check(true);
    await act(what);
    this.#doing = false;
  }

  #tell(one) {
    const { verdict } = one;
    redraw(this.verdict, [one.name, one.state, one.next, verdict], () => told(one));
    this.pictures.show(verdict?.passed ? null : verdict);
  }
}

function told({ state: stands, verdict, next }) {
  if (stands === "not started") return h("p", { class: "hint" }, "Nothing to check yet: start it.");
  if (!verdict) return h("p", { class: "hint" }, "Not checked yet.");
  const { passed, current, message, mistake, of, printed, seconds } = verdict;
  const took = h("small", { class: "hint" }, ` ${seconds.toFixed(1)} s`);
  const heading = passed ? `Right: all ${of} properties hold.` : mistake ? `Not yet: ${mistake}.` : "Not yet.";
  return [
    h("h2", { class: passed ? "right-now" : "not-yet", dataset: { passed, mistake: mistake ?? "" } }, heading, took),
    !current && h("p", { class: "hint" }, "Of an earlier content of the file."),
    passed && (next ? h("p", {}, h("a", { class: "next", href: state.url({ ...state.get(), exercise: next }) }, "Next: ", h("code", {}, next))) : h("p", {}, "All have passed: ", h("code", {}, "playattention learn run"), " trains your own GPT.")),
    message && h("dl", { class: "message" }, PARTS.filter((part) => message[part]).map((part) => h("div", { dataset: { part } }, h("dt", {}, part), h("dd", {}, text(part, message[part], verdict))))),
    printed && [h("h3", {}, "What your file printed"), block(printed)],
  ];
}

/** Lines that begin with blanks stay as they are; the table of numbers is drawn as pictures. */
function text(part, words, { got, wanted }) {
  if (part === "read") return h("code", {}, words);
  const drawn = got?.kind === "tensor" && wanted?.kind === "tensor";
  const groups = words.split(/\n(?=\S)|(?<=^\S.*)\n/m).filter((group) => !(drawn && /^ +yours\b/.test(group)));
  return groups.map((group) => (group.startsWith(" ") ? block(group) : h("p", {}, group)));
}

function block(words) {
  return h("pre", { tabindex: 0, role: "group", "aria-label": "As it stands" }, words);
}
