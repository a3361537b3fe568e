/** The tensors in the file, decoded when first asked for. */

const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

/** All of them. */
export class Tensors {
  #decoded = new Map();

  /** @param {Object} data The file's. */
  constructor(data) {
    this.data = data;
  }

  /**
   * Return a value's numbers.
   * @param {string} title
   * @returns {{data: ArrayLike<number>, shape: number[]}}
   */
  value(title) {
    return this.#read(this.data.values[title]);
  }

  /**
   * Return what an operand is a cell of.
   * @param {string} kind
   * @param {string} path
   * @returns {{data: ArrayLike<number>, shape: number[]}|null} null: it is not in the file.
   */
  of(kind, path) {
    const shelf = { value: "values", weight: "weights", input: "inputs" }[kind];
    return this.#read(shelf && this.data[shelf][path]);
  }

  #read(place) {
    if (!place) return null;
    const { tensor, shape } = place;
    if (!this.#decoded.has(tensor)) {
      const { dtype, data } = this.data.tensors[tensor];
      const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
      this.#decoded.set(tensor, new KINDS[dtype](bytes.buffer));
    }
    return { data: this.#decoded.get(tensor), shape };
  }
}

/**
 * Return one number.
 * @param {{data: ArrayLike<number>, shape: number[]}} tensor
 * @param {number[]} cell
 * @returns {number}
 */
export function at({ data, shape }, cell) {
  return data[cell.reduce((place, number, dimension) => place * shape[dimension] + number, 0)];
}

/**
 * Return what is left when the first dimensions are fixed.
 * @param {{data: ArrayLike<number>, shape: number[]}} tensor
 * @param {number[]} index
 * @param {string|null} [columns] Of the last dimension: "0:1024".
 * @returns {{data: ArrayLike<number>, shape: number[]}}
 */
export function cut({ data, shape }, index, columns = null) {
  const rest = shape.slice(index.length);
  const size = rest.reduce((product, one) => product * one, 1);
  const start = index.reduce((place, number, dimension) => place * shape[dimension] + number, 0) * size;
  const part = data.subarray(start, start + size);
  if (!columns) return { data: part, shape: rest };
  const [begin, end] = columns.split(":").map(Number);
  const width = rest.at(-1);
  const kept = part.filter((_, place) => place % width >= begin && place % width < end);
  return { data: kept, shape: [...rest.slice(0, -1), end - begin] };
}
