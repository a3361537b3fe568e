/** The page: what is selected, looked at, and shown by one view at a time. */

import { ApiError, forget, json } from "./api.js";
import { Arithmetic } from "./arithmetic.js";
import { Bar } from "./bar.js";
import { announce, fill, h } from "./dom.js";
import { Header } from "./header.js";
import { look as lookAt } from "./look.js";
import { openNumber, within } from "./selection.js";
import * as state from "./state.js";
import { onTheme, startTheme } from "./theme.js";
import { Tokens } from "./tokens.js";
import { addTour } from "./tour.js";
import { changeNote } from "./views/change_note.js";
import { VIEWS } from "./views/index.js";

/** The page's parts, made once. */
class Page {
  #controller = new AbortController();
  #runs = [];
  #look = null;
  #view = null;
  #examplesOf = null;

  constructor() {
    this.root = document.getElementById("view");
    this.header = new Header(document.getElementById("header"), () => this.#renew());
    this.bar = new Bar(document.getElementById("bar"), VIEWS);
    this.tokens = new Tokens({
      onSelect: (pos) => state.set({ pos }),
      onHover: (pos) => this.#hover({ row: pos, column: null, from: "tokens" }),
    });
    this.hovers = new Set();
    document.getElementById("header").append(this.tokens.element);
    addTour(document.querySelector(".header-top"), VIEWS);
    document.body.append(changeNote());
    this.arithmetic = new Arithmetic(document.getElementById("arithmetic"));
    document.getElementById("skip").addEventListener("click", (event) => {
      event.preventDefault(); // the part after # is the page's state
      this.root.focus();
    });
  }

  /** Open what the URL selects. */
  async start() {
    startTheme();
    onTheme(() => this.refresh(new Set(["theme"])));
    state.subscribe((_, changed) => this.refresh(changed));
    await this.refresh(new Set(["run"]));
  }

  /**
   * Show what is selected now.
   * @param {Set<string>} changed Keys of the state.
   */
  async refresh(changed) {
    this.#controller.abort(new DOMException("outdated", "AbortError"));
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const busy = setTimeout(() => this.root.setAttribute("aria-busy", "true"), 150);
    const failed = (fail) => (error) => signal.aborted || fail.call(this, error);
    try {
      const open = await this.#open(signal).then(() => true, failed(this.#refused));
      if (open === true) await this.#show(changed).catch(failed(this.#failed));
      if (!signal.aborted) performance.mark("shown"); // for those who measure
    } finally {
      clearTimeout(busy);
      if (!signal.aborted) this.root.setAttribute("aria-busy", "false");
    }
  }

  /** Ask once more which runs there are, and look again if this one has gone on. */
  async #renew() {
    const before = this.#runs.find((run) => run.name === this.#look?.run);
    this.#runs = await json("runs", {}, { keep: false }).catch(() => this.#runs);
    if (!this.#look) return;
    this.header.showRuns(this.#runs, this.#look.run);
    const now = this.#runs.find((run) => run.name === this.#look.run);
    if (before?.steps.join() === now?.steps.join()) return;
    forget();
    await this.refresh(new Set(["run"]));
  }

  async #open(signal) {
    const chosen = state.get();
    const asked = chosen.run && this.#examples(chosen.run, signal);
    asked?.catch(() => {}); // whether there is such a run is told below
    if (!this.#runs.some((run) => run.name === chosen.run)) {
      this.#runs = await json("runs", {}, { signal, keep: false });
    }
    const run = chosen.run ?? this.#runs.find((one) => !one.error && one.step !== null)?.name;
    if (!run) throw new ApiError("There is no run yet: `playattention train` makes one.", 404);
    this.header.showRuns(this.#runs, run);
    const texts = await (asked ?? this.#examples(run, signal));
    const text = chosen.text ?? texts[0]?.text;
    this.#look = await lookAt({ ...chosen, run, text }, signal);
    const facts = this.#runs.find((one) => one.name === run);
    this.header.show(this.#look, facts);
    this.tokens.show(this.#look.tokens, within(chosen, this.#look).pos);
    this.bar.show(this.#look);
  }

  async #examples(run, signal) {
    const { texts } = await json("examples", { run }, { signal });
    if (this.#examplesOf !== run) this.header.showExamples(texts);
    this.#examplesOf = run;
    return texts;
  }

  async #show(changed) {
    const chosen = state.get();
    // Where nothing is trained yet, the offer to train comes first.
    const first = this.#runs.every((run) => run.kind === "untrained") ? "train" : VIEWS[0].id;
    const view = VIEWS.find((one) => one.id === (chosen.view ?? first)) ?? VIEWS[0];
    const { signal } = this.#controller;
    this.arithmetic.show(this.#look, chosen, signal);
    if (view !== this.#view) {
      this.#leave();
      this.#view = view;
      this.bar.showView(view.id);
      this.root.setAttribute("aria-labelledby", `tab-${view.id}`);
      document.title = `${view.title} · playattention`;
    }
    await view.show(this.root, this.#context(chosen, changed, signal));
  }

  #context(chosen, changed, signal) {
    const look = this.#look;
    return {
      look,
      state: { ...chosen, ...within(chosen, look) },
      changed,
      signal,
      tokens: this.tokens,
      announce,
      hover: (what) => this.#hover(what),
      onHover: (listener) => this.hovers.add(listener),
      open: (value, index) => state.set(openNumber(look, value, index)),
    };
  }

  #hover(what) {
    if (what.from !== "tokens") this.tokens.highlight([what.row, what.column]);
    for (const listener of this.hovers) listener(what);
  }

  #leave() {
    this.#view?.hide();
    this.hovers.clear();
    this.tokens.shade(null);
    this.tokens.highlight([]);
    this.root.replaceChildren();
  }

  #startAnew() {
    const { view, theme } = state.get();
    const nothing = Object.fromEntries(Object.keys(state.get()).map((key) => [key, null]));
    state.set({ ...nothing, view, theme });
    this.refresh(new Set(["run"]));
  }

  /** A text or a change that can't be looked at is told beside the text; the view stays. */
  #refused(error) {
    if (error.status === 400 && this.#look) this.header.refuse(error.message, state.get().text);
    else this.#failed(error);
  }

  #failed(error) {
    const told = error instanceof ApiError ? error.message : `This view failed: ${error.message}`;
    if (!(error instanceof ApiError)) console.error(error);
    this.#leave();
    this.#view = null;
    const again = h("button", { type: "button", onclick: () => this.refresh(new Set(["run"])) }, "Try again");
    const anew = h("button", { type: "button", onclick: () => this.#startAnew() }, "Start anew");
    fill(this.root, h("section", { class: "card problem", role: "alert" }, h("p", {}, told), again, " ", anew));
  }
}

new Page().start();
