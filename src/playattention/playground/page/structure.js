/**
 * How a model's values nest: modules in modules, of many alike (blocks, heads) one at a time. Read
 * off the dotted paths and the order of the values, so that it holds for any model.
 *
 * An item is one of
 *   {kind: "value", value}
 *   {kind: "group", path, label, items}       what a module's own lines made
 *   {kind: "function", name, items}           what a function besides `forward` made
 *   {kind: "elements", level, values}         x[0], x[1], ... of one line
 *   {kind: "family", level, stem, members}    modules alike: [{number, group, after: items}]
 * `level` counts families from the outside: 0 follows the layer that is selected, 1 the head.
 */

import { keyOf, variable } from "./names.js";

/** @typedef {{items: Object[], where: Map<string, number[]>}} Structure */

/** The key of the state that each level follows. */
export const LEVELS = ["layer", "head"];

/**
 * Nest values.
 * @param {Object[]} values Of /api/look, in their order.
 * @returns {Structure} `where` tells for each value's key which member it is in, level by level.
 */
export function nest(values) {
  const root = { kind: "group", path: "", label: "", items: [] };
  for (const value of values) {
    let here = root;
    let path = "";
    for (const label of value.module.match(/[^.]+(?:\.\d+)*/g) ?? []) {
      path = path ? `${path}.${label}` : label;
      const last = here.items.at(-1);
      if (last?.kind !== "group" || last.path !== path) {
        here.items.push({ kind: "group", path, label, items: [] });
      }
      here = here.items.at(-1);
    }
    here.items.push({ kind: "value", value });
  }
  const items = folded(root.items, 0);
  const where = new Map();
  note(items, [], where);
  return { items, where };
}

/**
 * Return the value that stands where another does, in other members of the families.
 * @param {Structure} structure
 * @param {Object} value
 * @param {number[]} numbers Which member, level by level.
 * @param {Object[]} values All.
 * @returns {Object|undefined}
 */
export function sibling(structure, value, numbers, values) {
  const own = structure.where.get(keyOf(value)) ?? [];
  if (!own.length) return value;
  const wanted = own.map((number, level) => numbers[level] ?? number);
  const place = pattern(value, own);
  return values.find((other) => {
    const at = structure.where.get(keyOf(other)) ?? [];
    return at.join() === wanted.join() && pattern(other, at) === place;
  });
}

/** A value's name with its members' numbers taken out, and its occurrence where these are alike. */
function pattern(value, numbers) {
  let level = 0;
  const free = `${value.module}|${value.name}`.replaceAll(/\d+/g, (digits) => {
    return level < numbers.length && Number(digits) === numbers[level] ? `<${level++}>` : digits;
  });
  return level === numbers.length ? `${free}|${value.occurrence}` : `${free}|${value.line}`;
}

function folded(items, level) {
  const found = [];
  for (let place = 0; place < items.length; ) {
    const family = items[place].kind === "group" ? familyFrom(items, place) : null;
    if (family) {
      found.push(asFamily(family, level));
      place = family.end;
    } else {
      const item = items[place++];
      found.push(item.kind === "group" ? { ...item, items: folded(item.items, level) } : item);
    }
  }
  return withFunctions(withElements(found, level));
}

/** Collect `stem.0`, `stem.1`, ... from a place on, with the values between them. */
function familyFrom(items, first) {
  const stem = stemOf(items[first]);
  if (!stem || items[first].label !== `${stem}.0`) return null;
  const members = [];
  let end = first;
  for (let place = first; place < items.length; place++) {
    const item = items[place];
    if (item.kind === "group" && stemOf(item) !== stem) break;
    if (item.kind === "group") {
      members.push({ number: Number(item.label.split(".").at(-1)), group: item, after: [] });
      if (members.length > 1) members.at(-2).after = items.slice(end, place);
      end = place + 1;
    }
  }
  if (new Set(members.map((member) => signature(member.group))).size > 1) return null;
  const usual = members[0].after.map((item) => variable(item.value));
  const trailing = items.slice(end, end + usual.length);
  if (usual.length && usual.every((name, at) => trailing[at]?.value && variable(trailing[at].value) === name)) {
    members.at(-1).after = trailing;
    end += usual.length;
  }
  return { stem, members, end };
}

function asFamily({ stem, members }, level) {
  const inner = members.map(({ number, group, after }) => ({
    number,
    group: { ...group, items: folded(group.items, level + 1) },
    after,
  }));
  return { kind: "family", level, stem, members: inner };
}

function stemOf({ label }) {
  return label?.match(/^(.*)\.\d+$/)?.[1] ?? null;
}

/** What makes modules alike: the same lines made their values. */
function signature(group) {
  return group.items
    .map((item) => (item.kind === "value" ? `${item.value.name}@${item.value.line}` : item.label))
    .join();
}

function withElements(items, level) {
  const found = [];
  for (const item of items) {
    const last = found.at(-1);
    if (item.kind === "value" && last?.kind === "elements" && alike(last.values[0], item.value)) {
      last.values.push(item.value);
    } else if (item.kind === "value" && item.value.name.includes("[")) {
      found.push({ kind: "elements", level, values: [item.value] });
    } else found.push(item);
  }
  return found.map((item) => {
    return item.kind === "elements" && item.values.length === 1
      ? { kind: "value", value: item.values[0] }
      : item;
  });
}

function alike(one, other) {
  return (
    variable(one) === variable(other) &&
    one.line === other.line &&
    one.occurrence === other.occurrence &&
    one.shape.join() === other.shape.join()
  );
}

function withFunctions(items) {
  const found = [];
  for (const item of items) {
    const name = (item.value ?? item.values?.[0])?.function ?? "forward";
    const last = found.at(-1);
    if (name === "forward") found.push(item);
    else if (last?.kind === "function" && last.name === name) last.items.push(item);
    else found.push({ kind: "function", name, items: [item] });
  }
  return found;
}

function note(items, numbers, where) {
  for (const item of items) {
    if (item.kind === "value") where.set(keyOf(item.value), numbers);
    else if (item.kind === "elements") {
      item.values.forEach((value, place) => where.set(keyOf(value), [...numbers, place]));
    } else if (item.kind === "family") {
      for (const { number, group, after } of item.members) {
        note([group, ...after], [...numbers, number], where);
      }
    } else note(item.items, numbers, where);
  }
}
