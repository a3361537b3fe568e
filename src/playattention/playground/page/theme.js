/** Light or dark: as the system says, until somebody chooses. */

import { forgetColours } from "./colours.js";
import * as state from "./state.js";

const KEY = "playattention-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const heard = new Set();

/** Apply the theme of the URL, or the one last chosen here, or the system's. */
export function startTheme() {
  apply();
  system.addEventListener("change", apply);
  state.subscribe((_, changed) => changed.has("theme") && apply());
}

/** Choose the other theme. */
export function nextTheme() {
  const theme = isDark() ? "light" : "dark";
  remember(theme);
  state.set({ theme });
}

/**
 * Hear of another theme, once its colours are known.
 * @param {function()} listener
 */
export function onTheme(listener) {
  heard.add(listener);
}

function apply() {
  const theme = chosen();
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  forgetColours();
  for (const listener of heard) listener();
}

function isDark() {
  return chosen() ? chosen() === "dark" : system.matches;
}

function chosen() {
  const theme = state.get().theme ?? remembered();
  return theme === "dark" || theme === "light" ? theme : null;
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // a browser may forbid it: then the URL remembers
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
