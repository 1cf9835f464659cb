import type { Initializer } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import { philoxBlock } from "./philox.ts";

/** 2^-32: a u32 times this is in [0, 1). */
const unit = 2 ** -32;

/**
 * The two key words of a parameter's random stream: the run's seed and its name, and nothing else, so that adding,
 * removing or reordering other parameters changes no value. FNV-1a over the UTF-8 bytes, with two offsets.
 */
function streamKey(seed: number, name: string): readonly [number, number] {
  let first = 0x811c9dc5;
  let second = 0x01000193;
  for (const byte of new TextEncoder().encode(name)) {
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x85ebca6b);
  }
  return [(seed ^ first) >>> 0, second >>> 0];
}

/**
 * The starting values of elements `start ..< start + count` of a parameter. Element i depends on (seed, name, i) alone:
 * a parameter can be drawn in pieces of any size.
 *
 * Uniform: u32 times 2^-32. Normal: Box-Muller, four values of a Philox block from two pairs of uniforms. Truncated
 * normal: a value beyond the cut is drawn again from blocks of its own, so that its neighbours stay as they are.
 * Computed in float64 and rounded to f32 once.
 * @param seed u32
 * @returns f32[count]
 * @throws KilnError `user` for a cut that no draw can meet
 */
export function drawInitial(
  initializer: Initializer,
  seed: number,
  name: string,
  start: number,
  count: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  switch (initializer.kind) {
    case "constant":
      return values.fill(initializer.value);
    case "uniform": {
      const { low, high } = initializer;
      fillBlocks(values, seed, name, start, standardUniforms, (uniform) => low + (high - low) * uniform);
      return values;
    }
    case "normal": {
      const { mean, std } = initializer;
      fillBlocks(values, seed, name, start, standardNormals, (normal) => mean + std * normal);
      return values;
    }
    case "truncated_normal": {
      const { mean, std, cut } = initializer;
      // Below a thousandth of a deviation, one draw in more than a thousand hits: a mistake, not a wish.
      if (!(cut >= 1e-3))
        throw new KilnError("user", `\`${name}\`: truncated_normal needs a cut above 0, not ${cut}`);
      const [key0, key1] = streamKey(seed, name);
      const words = new Uint32Array(4);
      const retry = new Float64Array(4);
      fillBlocks(values, seed, name, start, standardNormals, (first, element) => {
        let normal = first;
        for (let attempt = 1; Math.abs(normal) > cut; attempt++) {
          philoxBlock(words, element, Math.floor(element * unit), attempt, 1, key0, key1);
          standardNormals(words, retry);
          normal = retry[0] ?? 0;
        }
        return mean + std * normal;
      });
      return values;
    }
    default:
      return initializer satisfies never;
  }
}

/** Draws a block of four standard values at a time; `finish` makes an element's value of its own one. */
function fillBlocks(
  values: Float32Array,
  seed: number,
  name: string,
  start: number,
  draw: (words: Uint32Array, four: Float64Array) => void,
  finish: (standard: number, element: number) => number,
): void {
  const [key0, key1] = streamKey(seed, name);
  const words = new Uint32Array(4);
  const four = new Float64Array(4);
  const end = start + values.length;
  for (let block = Math.floor(start / 4); 4 * block < end; block++) {
    philoxBlock(words, block, Math.floor(block * unit), 0, 0, key0, key1);
    draw(words, four);
    const last = Math.min(end, 4 * block + 4);
    for (let element = Math.max(start, 4 * block); element < last; element++) {
      values[element - start] = finish(four[element - 4 * block] ?? 0, element);
    }
  }
}

/** In [0, 1), multiples of 2^-32. */
function standardUniforms(words: Uint32Array, four: Float64Array): void {
  for (let i = 0; i < 4; i++) four[i] = (words[i] ?? 0) * unit;
}

/**
 * Box-Muller: words 0 and 1 make the normals 0 (cosine) and 1 (sine), words 2 and 3 those at 2 and 3. The radius'
 * uniform is (u + 1/2) 2^-32, never 0, so the largest normal is about 6.8.
 */
function standardNormals(words: Uint32Array, four: Float64Array): void {
  for (let pair = 0; pair < 4; pair += 2) {
    const radius = Math.sqrt(-2 * Math.log(((words[pair] ?? 0) + 0.5) * unit));
    const angle = 2 * Math.PI * (words[pair + 1] ?? 0) * unit;
    four[pair] = radius * Math.cos(angle);
    four[pair + 1] = radius * Math.sin(angle);
  }
}
