/**
 * The model writes, token by token. The text is what follows from prompt, settings and seed: all
 * of them stand in the URL, and another setting draws the same number of tokens anew.
 */

import { fill, h, rest, roving } from "../dom.js";
import { visible } from "../names.js";
import { data } from "../numbers.js";
import * as state from "../state.js";
import { Candidates, showCache } from "./generate_table.js";
import { cutAround, keyOf, Session } from "./generate_session.js";
import { Knob } from "./knobs.js";

const PAUSES = { slowly: 1200, steadily: 450, fast: 150 }; // milliseconds between two tokens
const MANY = 10;
const SETTINGS = {
  temperature: { label: "Temperature T", hint: "0: always the likeliest", min: 0, step: 0.1, slider: [0, 2, 0.1], otherwise: 1 },
  top_k: { label: "Top-k", hint: "keep the k likeliest", min: 1, step: 1, placeholder: "all", otherwise: null },
  top_p: { label: "Top-p", hint: "keep the fewest that reach p", min: 0, max: 1, placeholder: "all", slider: [0.05, 1, 0.05], otherwise: null },
  seed: { label: "Seed", hint: "the same seed, the same text", min: 0, step: 1, otherwise: 0 },
};

let parts = null; // what is drawn; null while another view is open
let session = null; // kept meanwhile
let ownText = null; // the text that this view selected, for the others
let playing = null; // the timer's promise goes on while this object is the same

/** @type {import("./index.js").View} */
export default { id: "generate", title: "Generate", show, hide };

async function show(root, context) {
  parts ??= build(root);
  parts.context = context;
  const { look, state: chosen } = context;
  if (chosen.prompt !== undefined && ownText !== null && chosen.text !== ownText) {
    ownText = null; // somebody chose another text
    return state.set({ prompt: null, drawn: null, pick: null });
  }
  if (chosen.prompt !== undefined) ownText = chosen.text ?? null;
  const prompt = chosen.prompt ?? look.text;
  const settings = settingsOf(chosen);
  const { run, step, change } = look;
  if (session?.key !== keyOf({ run, step, change }, prompt, settings)) {
    const isOther = session !== null && session.prompt !== prompt;
    session?.end();
    session = new Session({ run, step, change }, prompt, settings);
    session.words = look.text === prompt ? look.tokens.map(({ text }) => text) : null;
    if (isOther && chosen.drawn) return state.set({ drawn: null, pick: null });
  }
  for (const [name, knob] of Object.entries(parts.knobs)) knob.show(chosen[name] ?? SETTINGS[name].otherwise ?? "");
  await advance(session);
}

function hide() {
  stop();
  parts = null;
}

function settingsOf(chosen) {
  const one = (name) => (chosen[name] === undefined ? SETTINGS[name].otherwise : Number(chosen[name]));
  return Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, one(name)]));
}

function count() {
  return Math.max(0, Math.min(10_000, Math.floor(Number(state.get().drawn ?? 0)) || 0));
}

/** Draw as many tokens as are to be shown, and look at the one after them. */
async function advance(own) {
  try {
    for (let place = own.answers.length; place <= count(); place++) {
      await own.answer(place);
      if (own !== session || !parts) return;
      if (place < count()) paint(place);
    }
    await own.answer(count());
    if (own === session && parts) paint(count());
  } catch (error) {
    if (own === session && parts && error.name !== "AbortError") refuse(error.message);
  }
}

function build(root) {
  const knobs = Object.fromEntries(Object.entries(SETTINGS).map(([name, told]) => {
    const onChange = (text) => state.set({ [name]: text === String(told.otherwise ?? "") ? null : text });
    return [name, new Knob({ ...told, onChange })];
  }));
  const button = (name, onclick, title) => h("button", { type: "button", onclick, title }, name);
  const step = button("Step", () => draw(1), "Draw one token");
  const many = button(`${MANY} tokens`, () => draw(MANY), `Draw ${MANY} tokens`);
  const play = button("Play", () => (playing ? stop() : start()), "Draw one token after another");
  const reset = button("Reset", () => (stop(), state.set({ drawn: null, pick: null })), "Back to the prompt");
  const pace = h("select", { "aria-label": "Pace" }, Object.keys(PAUSES).map((name) => h("option", { value: name, selected: name === "steadily" }, name)));
  const text = h("div", { class: "written", role: "group", "aria-label": "The text; a drawn token opens in all views" });
  roving(text, ".written-token");
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const told = h("p", { class: "hint" });
  const candidates = new Candidates((one) => explain(one));
  const cache = h("section", { class: "card cache", "aria-label": "Cache" });
  fill(
    root,
    h(
      "div",
      { class: "generate" },
      h("section", { class: "card writing", "aria-label": "Text and settings" },
        h("div", { class: "knobs" }, Object.values(knobs).map((knob) => knob.element)),
        h("div", { class: "buttons", role: "group", "aria-label": "Draw" }, step, many, play, pace, reset),
        problem, text, told),
      h("section", { class: "card", "aria-label": "How a token is drawn" }, candidates.element),
      cache,
    ),
  );
  return { knobs, step, many, play, pace, reset, text, problem, told, candidates, cache };
}

function draw(more) {
  stop();
  state.set({ drawn: count() + more, pick: null }, { push: false });
}

async function start() {
  const own = {};
  const { text } = state.get();
  playing = own;
  fill(parts.play, "Pause");
  while (playing === own && parts && state.get().text === text) {
    const writing = session;
    state.set({ drawn: count() + 1, pick: null }, { push: false });
    try {
      await Promise.all([writing.answer(count()), pause(PAUSES[parts.pace.value])]);
    } catch {
      break; // told by `advance`
    }
  }
  if (playing === own) stop();
}

function stop() {
  playing = null;
  if (parts) fill(parts.play, "Play");
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Show the text with as many tokens as are drawn, and how one of them was. */
function paint(drawn) {
  refuse(null);
  const { look, state: chosen, announce } = parts.context;
  const shown = session.answers.slice(0, drawn);
  const picked = chosen.pick !== undefined && Number(chosen.pick) < drawn ? Number(chosen.pick) : drawn - 1;
  const answer = session.answers[Math.max(0, picked)];
  paintText(shown, picked);
  parts.reset.disabled = !drawn;
  const title = drawn ? `Token ${picked + 1}, after “${ending(answer)}”` : "The next token may be one of these";
  const explains = look.text === session.prompt && picked <= 0 && Boolean(logits(look));
  parts.candidates.show(answer, { title, settings: session.settings, revealed: drawn > 0, explains });
  showCache(parts.cache, answer, look.sizes, look.change);
  const last = shown.at(-1);
  fill(parts.told, last
    ? [`${drawn} drawn; the last `, h("code", {}, visible(last.drawn)), " with probability ", data(last.drawn.probability), otherTokens(look)]
    : "Step draws a token from the probabilities shown; it is read, with all before it, for the next.");
  if (last) announce(`token ${drawn}: ${last.drawn.text}`);
}

function paintText(shown, picked) {
  const focused = parts.text.contains(document.activeElement);
  const tokens = shown.map(({ drawn }, place) => [
    h(
      "button",
      {
        class: "written-token",
        type: "button",
        "aria-pressed": String(place === picked),
        "aria-label": `token ${place + 1}, ${spoken(drawn.text)}`,
        title: `${JSON.stringify(drawn.text)}, id ${drawn.id}, probability ${drawn.probability}`,
        onclick: () => lookAt(place),
      },
      visible(drawn),
    ),
    drawn.text.includes("\n") && h("br"),
  ]);
  fill(parts.text, h("span", { class: "written-prompt" }, session.prompt), tokens);
  const all = [...parts.text.querySelectorAll(".written-token")];
  rest(parts.text, ".written-token", all[picked]);
  if (focused) all[picked]?.focus({ preventScroll: true });
}

/** Select a drawn token in all views: the text so far, and its position. */
function lookAt(place) {
  stop();
  const { look } = parts.context;
  const shown = session.answers.slice(0, count());
  const words = session.words && [...session.words, ...shown.map(({ drawn }) => drawn.text)];
  const at = session.promptSize + place;
  const whole = shown.at(-1);
  const cut = whole.ids.length <= look.seq_size || !words
    ? { text: whole.text, pos: at }
    : cutAround(words, at, look.seq_size);
  ownText = cut.text;
  state.set({ prompt: session.prompt, text: cut.text, pos: cut.pos, pick: place }, { push: true });
}

/** Tell if the text is read as other tokens than were drawn, as byte pairs may be. */
function otherTokens(look) {
  if (state.get().prompt === undefined || look.text !== session.answers[count() - 1]?.text) return null;
  const drawn = session.answers[count() - 1].ids.slice(-look.tokens.length);
  const same = drawn.every((id, place) => id === look.tokens[place].id);
  return same ? null : "; read as a text, it falls into other tokens than were drawn";
}

function logits(look) {
  return look.values.findLast(({ module, name }) => module === "" && name === "logits");
}

function explain(one) {
  const { look, open } = parts.context;
  open(logits(look), [0, look.tokens.length - 1, one.id]);
}

function refuse(problem) {
  const named = problem && Object.keys(SETTINGS).find((name) => problem.startsWith(name));
  for (const [name, knob] of Object.entries(parts.knobs)) knob.refuse(name === named ? problem : null);
  fill(parts.problem, named ? null : problem);
  parts.problem.hidden = !problem || Boolean(named);
  if (problem) stop();
}

function ending(answer) {
  const before = answer.text.slice(0, answer.text.length - answer.drawn.text.length);
  return visible({ text: before.slice(-12) });
}

function spoken(text) {
  return { " ": "blank", "\n": "line end" }[text] ?? text;
}
