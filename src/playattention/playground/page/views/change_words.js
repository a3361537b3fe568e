/** The words of a change, as the URL has them: `ablate:0.1 no-mask`. Knows no page. */

const SUBLAYERS = { attention: "attention", feed_forward: "the feed-forward" };

/**
 * Return the words of a change.
 * @param {string|undefined} change
 * @returns {string[]}
 */
export function wordsOf(change) {
  return (change ?? "").split(/\s+/).filter(Boolean);
}

/**
 * Return a change with words put in and others taken out.
 * @param {string|undefined} change
 * @param {{add?: string[], drop?: string[]}} patch
 * @returns {string} Each word once, in the order in which they came.
 */
export function changed(change, { add = [], drop = [] }) {
  const kept = wordsOf(change).filter((word) => !drop.includes(word) && !add.includes(word));
  return [...kept, ...add].join(" ");
}

/** @type {[RegExp, function(...string): string][]} How words are told to a reader. */
const TOLD = [
  [/^ablate:(\d+)\.(\d+)$/, (l, n) => `head ${l}.${n} mixes zeros`],
  [/^ablate-mean:(\d+)\.(\d+)$/, (l, n) => `head ${l}.${n} mixes its mean`],
  [/^ablate-ff:(\d+)$/, (l) => `feed-forward ${l} gives zeros`],
  [/^ablate-ff-mean:(\d+)$/, (l) => `feed-forward ${l} gives its mean`],
  [/^no-mask$/, () => "no causal mask"],
  [/^no-mask:(\d+)$/, (l) => `no causal mask in layer ${l}`],
  [/^no-scale$/, () => "scores not scaled"],
  [/^no-scale:(\d+)$/, (l) => `scores not scaled in layer ${l}`],
  [/^scale:([^@]+)$/, (x) => `scores × ${x}`],
  [/^scale:([^@]+)@(\d+)$/, (x, l) => `scores × ${x} in layer ${l}`],
  [/^no-positions$/, () => "no positions"],
  [/^no-residual:(\d+)\.(\w+)$/, (l, s) => `${SUBLAYERS[s] ?? s} of layer ${l} without the residual`],
  [/^look:(\d+)\.(\d+)\.(\d+)=(.*)$/, (l, n, p) => `head ${l}.${n} looks from position ${p} as you say`],
  [/^swap:(\d+)\.(\d+)$/, (one, other) => `tokens ${one} and ${other} exchanged`],
];

/**
 * Tell a word to a reader.
 * @param {string} word
 * @returns {string} The word itself, if it is not known.
 */
export function told(word) {
  for (const [pattern, words] of TOLD) {
    const found = word.match(pattern);
    if (found) return words(...found.slice(1));
  }
  return word;
}

/**
 * Write a row of weights as the words have it: at most 12 digits behind the point, no zeros at
 * its end.
 * @param {number[]} row
 * @returns {string}
 */
export function rowWords(row) {
  const last = row.findLastIndex((weight) => weight !== 0);
  return row.slice(0, last + 1).map((weight) => String(Number(weight.toFixed(6)))).join(",") || "0";
}
