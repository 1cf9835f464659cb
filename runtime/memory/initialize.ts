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
      fillBlocks(values, seed, name, start, (words, at) => low + (high - low) * (words[at] ?? 0) * unit);
      return values;
    }
    case "normal": {
      const { mean, std } = initializer;
      fillBlocks(values, seed, name, start, (words, at) => mean + std * standardNormal(words, at));
      return values;
    }
    case "truncated_normal": {
      const { mean, std, cut } = initializer;
      // Below a thousandth of a deviation, one draw in more than a thousand hits: a mistake, not a wish.
      if (!(cut >= 1e-3))
        throw new KilnError("user", `\`${name}\`: truncated_normal needs a cut above 0, not ${cut}`);
      const retry = new Uint32Array(4);
      const [key0, key1] = streamKey(seed, name);
      fillBlocks(values, seed, name, start, (words, at, element) => {
        let value = standardNormal(words, at);
        for (let attempt = 1; Math.abs(value) > cut; attempt++) {
          philoxBlock(retry, element, Math.floor(element * unit), attempt, 1, key0, key1);
          value = standardNormal(retry, 0);
        }
        return mean + std * value;
      });
      return values;
    }
    default:
      return initializer satisfies never;
  }
}

/** Calls `value` for every element with the block it belongs to (four elements a block) and its place there. */
function fillBlocks(
  values: Float32Array,
  seed: number,
  name: string,
  start: number,
  value: (words: Uint32Array, at: number, element: number) => number,
): void {
  const [key0, key1] = streamKey(seed, name);
  const words = new Uint32Array(4);
  let current = -1;
  for (let i = 0; i < values.length; i++) {
    const element = start + i;
    const block = Math.floor(element / 4);
    if (block !== current) {
      philoxBlock(words, block, Math.floor(block * unit), 0, 0, key0, key1);
      current = block;
    }
    values[i] = value(words, element % 4, element);
  }
}

/**
 * Box-Muller: words 0 and 1 make the normals of places 0 (cosine) and 1 (sine), words 2 and 3 those of 2 and 3.
 * The radius' uniform is (u + 1/2) 2^-32, never 0, so the largest normal is about 6.8.
 */
function standardNormal(words: Uint32Array, at: number): number {
  const pair = at & 2;
  const radius = Math.sqrt(-2 * Math.log(((words[pair] ?? 0) + 0.5) * unit));
  const angle = 2 * Math.PI * (words[pair + 1] ?? 0) * unit;
  return radius * (at % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
}
