/** What the server is asked: answers are kept, and what nobody waits for any more is given up. */

const MOST_BYTES = 64 * 2 ** 20;
const kept = new Map(); // URL -> {promise, waiting, controller, bytes}, the oldest first

/** What the server refused, in its own words. */
export class ApiError extends Error {
  /**
   * @param {string} message One line.
   * @param {number} status HTTP's; 0: the server did not answer.
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Ask for words.
 * @param {string} path Below /api/.
 * @param {Object<string, *>} [query] null, undefined and "" are left out; a list: each of it.
 * @param {{signal?: AbortSignal, keep?: boolean}} [options] Gives up; whether the answer is kept.
 * @returns {Promise<*>} Frozen in use: others get the same object.
 * @throws {ApiError} What the server refused.
 */
export function json(path, query = {}, { signal, keep = true } = {}) {
  return asked(address(path, query), signal, keep, async (response) => {
    const text = await response.text();
    return [JSON.parse(text), 2 * text.length];
  });
}

/**
 * Ask for a tensor.
 * @param {string} path Below /api/.
 * @param {Object<string, *>} query As in `json`.
 * @param {{signal?: AbortSignal, keep?: boolean}} [options] As in `json`.
 * @returns {Promise<{data: Float32Array|Int32Array, shape: number[], headers: Headers}>}
 * @throws {ApiError} What the server refused.
 */
export function tensor(path, query, { signal, keep = true } = {}) {
  return asked(address(path, query), signal, keep, async (response) => {
    const bytes = await response.arrayBuffer();
    const shape = (response.headers.get("X-Shape") ?? "").split(",").filter(Boolean).map(Number);
    const kind = response.headers.get("X-Dtype") === "int32" ? Int32Array : Float32Array;
    return [{ data: new kind(bytes), shape, headers: response.headers }, bytes.byteLength];
  });
}

/**
 * Ask for several tensors at once.
 * @param {string} path Below /api/.
 * @param {Object<string, *>} query As in `json`.
 * @param {{signal?: AbortSignal}} [options] As in `json`.
 * @returns {Promise<{data: Float32Array, shape: number[]}[]>}
 * @throws {ApiError} What the server refused.
 */
export function tensors(path, query, { signal } = {}) {
  return asked(address(path, query), signal, true, async (response) => {
    const bytes = await response.arrayBuffer();
    const shapes = response.headers.get("X-Shapes").split(";").map((one) => one.split(",").filter(Boolean).map(Number));
    let begin = 0;
    const found = shapes.map((shape) => {
      const size = shape.reduce((product, one) => product * one, 1);
      begin += size;
      return { data: new Float32Array(bytes, 4 * (begin - size), size), shape };
    });
    return [found, bytes.byteLength];
  });
}

/**
 * Have something done.
 * @param {string} path Below /api/.
 * @param {Object} body Sent as JSON.
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<*>} The answer.
 * @throws {ApiError} What the server refused.
 */
export async function post(path, body, { signal } = {}) {
  const headers = { "Content-Type": "application/json", "X-Playattention": "1" };
  const request = { method: "POST", headers, body: JSON.stringify(body), signal };
  return (await answer(address(path, {}), request)).json();
}

/** Forget all answers, say because a run went on. */
export function forget() {
  kept.clear();
}

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => ![null, undefined, ""].includes(value));
  const pairs = given.flatMap(([key, value]) => [value].flat().map((one) => [key, one]));
  const words = new URLSearchParams(pairs).toString();
  return `api/${path}${words ? `?${words}` : ""}`;
}

/** Share one request among all who want the same; end it when none of them waits any more. */
function asked(url, signal, keep, read) {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const entry = kept.get(url) ?? begin(url, keep, read);
  kept.delete(url);
  kept.set(url, entry); // the youngest
  entry.waiting += 1;
  if (!signal) return entry.promise;
  return new Promise((resolve, reject) => {
    const leave = () => {
      entry.waiting -= 1;
      if (!entry.waiting && entry.bytes === null) {
        if (kept.get(url) === entry) kept.delete(url);
        entry.controller.abort();
      }
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    const end = () => signal.removeEventListener("abort", leave);
    entry.promise.then(resolve, reject).finally(end);
  });
}

function begin(url, keep, read) {
  const controller = new AbortController();
  const entry = { controller, waiting: 0, bytes: null };
  const fetched = answer(url, { signal: controller.signal }).then(read);
  entry.promise = fetched.then(
    ([found, bytes]) => {
      entry.bytes = bytes;
      if (!keep) kept.delete(url);
      else forgetOldest();
      return found;
    },
    (error) => {
      if (kept.get(url) === entry) kept.delete(url);
      throw error;
    },
  );
  entry.promise.catch(() => {}); // each who waits hears of it
  return entry;
}

function forgetOldest() {
  let bytes = [...kept.values()].reduce((sum, entry) => sum + (entry.bytes ?? 0), 0);
  for (const [url, entry] of kept) {
    if (bytes <= MOST_BYTES || kept.size <= 1) return;
    if (entry.bytes === null) continue;
    kept.delete(url);
    bytes -= entry.bytes;
  }
}

async function answer(url, request) {
  let response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is `playattention play` still running?", 0);
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new ApiError(told.error ?? `The server answered ${response.status}.`, response.status);
}
