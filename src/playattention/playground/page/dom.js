/** Elements made in one line. Knows no part of the page. */

/**
 * Make an element.
 * @param {string} tag Its name.
 * @param {Object<string, *>} [props] Attributes; `onX` listens, `class` and `dataset` as they are
 *     called, `vars` sets CSS variables; null, undefined and false leave one out.
 * @param {...(Node|string|number|null|undefined|false|Array)} children What stands in it.
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) put(element, name, value);
  element.append(...flat(children));
  return element;
}

function put(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "vars") {
    for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
  } else element.setAttribute(name, value === true ? "" : value);
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * Put these children in the place of those that an element has.
 * @param {Element} element
 * @param {...*} children As in `h`.
 */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
}

/**
 * Make an element's children like these, leaving what is alike where it is: with its focus, its
 * canvas, its place on the page. Listeners stay those of the old ones.
 * @param {Element} element
 * @param {...*} children As in `h`.
 */
export function liken(element, ...children) {
  const wanted = flat(children);
  wanted.forEach((child, at) => {
    const old = element.childNodes[at];
    if (!old) element.append(child);
    else if (old.nodeName !== child.nodeName) old.replaceWith(child);
    else if (old.nodeType === Node.TEXT_NODE) old.data === child.data || (old.data = child.data);
    else likenOne(old, child);
  });
  while (element.childNodes.length > wanted.length) element.lastChild.remove();
}

function likenOne(old, wanted) {
  for (const { name } of [...old.attributes]) wanted.hasAttribute(name) || old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) === value) continue;
    if (name === "style") old.style.cssText = value; // as an attribute the page forbids it
    else old.setAttribute(name, value);
  }
  liken(old, [...wanted.childNodes]);
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/**
 * Let arrow keys, Home and End move the focus among elements, of which Tab reaches one alone.
 * @param {HTMLElement} container Where they are.
 * @param {string} selector Which they are.
 * @param {{columns?: function(): number}} [options] How many stand in a row, where up and down
 *     are to go by rows.
 */
export function roving(container, selector, { columns } = {}) {
  container.addEventListener("focusin", (event) => {
    const found = event.target.closest(selector);
    if (found && container.contains(found)) rest(container, selector, found);
  });
  container.addEventListener("keydown", (event) => {
    const all = [...container.querySelectorAll(selector)];
    const place = all.indexOf(event.target.closest(selector));
    if (place < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const vertical = event.key === "ArrowUp" || event.key === "ArrowDown";
    const step = (STEPS[event.key] ?? 0) * (vertical && columns ? columns() : 1);
    const next = { Home: 0, End: all.length - 1 }[event.key] ?? (step ? place + step : null);
    if (next === null) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, next))].focus();
  });
}

/**
 * Let Tab reach one element of a group alone.
 * @param {HTMLElement} container
 * @param {string} selector
 * @param {Element|null} [chosen] Which; default: the first.
 */
export function rest(container, selector, chosen = null) {
  const all = [...container.querySelectorAll(selector)];
  const one = all.includes(chosen) ? chosen : all[0];
  for (const element of all) element.tabIndex = element === one ? 0 : -1;
}

/**
 * Bring a part in sight of a list that scrolls by itself, without moving the page.
 * @param {HTMLElement} list
 * @param {Element} part
 * @param {number} [covered] Pixels at the list's top under a heading that stays.
 */
export function reveal(list, part, covered = 0) {
  const [outer, inner] = [list, part].map((element) => element.getBoundingClientRect());
  const centre = (box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const [right, down] = centre(inner).map((place, axis) => place - centre(outer)[axis]);
  if (inner.left < outer.left || inner.right > outer.right) list.scrollLeft += right;
  if (inner.top < outer.top + covered || inner.bottom > outer.bottom) list.scrollTop += down;
}

/**
 * Tell something to who does not see it.
 * @param {string} text
 */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

/** @returns {boolean} Whether things should stand still. */
export function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
