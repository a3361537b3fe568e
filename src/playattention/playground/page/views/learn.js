/** Learn: the course's exercises; what the last check of a file found, as soon as it is saved. */

import { post } from "../api.js";
import { h, fill } from "../dom.js";
import * as state from "../state.js";
import { Follow } from "./learn_follow.js";
import { Lesson } from "./learn_lesson.js";
import { List } from "./learn_list.js";

let parts = null; // what is drawn; null while another view is open

/** @type {import("./index.js").View} */
export default { id: "learn", title: "Learn", show, hide };

async function show(root, context) {
  const isNew = !parts;
  parts ??= build(root);
  parts.announce = context.announce;
  if (context.changed.has("theme")) parts.lesson.repaint();
  const { exercise } = context.state;
  if (!isNew && parts.chosen === exercise) return;
  parts.chosen = exercise;
  await parts.follow.choose(exercise);
}

function hide() {
  parts.follow.end();
  parts = null;
}

function build(root) {
  const list = new List((exercise) => state.set({ exercise }, { push: true }));
  const lesson = new Lesson(act);
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const follow = new Follow({ onList: (found) => listed(found), onOne: told, onProblem: refuse });
  fill(root, h("div", { class: "learn" }, list.element, h("div", { class: "lesson-side" }, problem, lesson.element)));
  return { list, lesson, problem, follow };
}

function listed({ exercises, checking, problem }) {
  const { list, lesson, follow } = parts;
  list.show(exercises, follow.name);
  lesson.check(checking.includes(follow.name));
  refuse(problem);
}

function told(one, before) {
  parts.lesson.show(one);
  const { verdict } = one;
  if (before?.name !== one.name || JSON.stringify(verdict) === JSON.stringify(before.verdict) || !verdict?.current) return;
  parts.announce(`${one.name}: ${verdict.passed ? "right" : `not yet. ${verdict.message?.observed ?? ""}`}`);
}

function refuse(problem) {
  fill(parts.problem, problem);
  parts.problem.hidden = !problem;
}

/** Have something done: start, check or hint. */
async function act(what) {
  const { follow } = parts;
  try {
    const one = await post(`exercises/${follow.name}/${what}`, {});
    if (parts?.follow === follow) follow.take(one);
  } catch (error) {
    if (parts?.follow === follow) refuse(error.message);
  }
}
