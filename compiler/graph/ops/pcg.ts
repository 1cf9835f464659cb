/**
 * PCG-RXS-M-XS 32: one step of the generator and its output function, u32 -> u32.
 * O'Neill 2014, "PCG", 6.3.4; Jarzynski and Olano 2020, "Hash Functions for GPU Rendering" (`pcg`).
 */
export function pcgHash(x: number): number {
  const state = (Math.imul(x, 747796405) + 2891336453) >>> 0;
  const word = Math.imul((state >>> ((state >>> 28) + 4)) ^ state, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
}

/** Element `index` of the stream `key`: a multiple of 2^-24 in [0, 1), so exact in f32. */
export function uniform01(key: number, index: number): number {
  return (pcgHash(key ^ pcgHash(index)) >>> 8) * 2 ** -24;
}
