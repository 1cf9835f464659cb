/** A seeded stream of random numbers. The same key gives the same stream on every machine. */
export interface Random {
  /** Uniform in [0, 1), a multiple of 2^-32. */
  uniform(): number;
  /** Uniform integer in 0..n-1, for 1 <= n <= 2^31; its bias is below n / 2^32. */
  below(n: number): number;
}

/** What a stream is for: the first number of its key, so that no two uses share numbers. */
export const stream = {
  nextSentence: 1,
  mask: 2,
  epochOrder: 3,
  grammar: 4,
  entailment: 5,
  wordRoles: 6,
  labelledSplit: 7,
  grammarText: 8,
  corpusSplit: 9,
  shardOrder: 10,
} as const;

/** One mixing step (the finaliser of MurmurHash3, 32 bits): every input bit reaches every output bit. */
function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) + 0x9e3779b9;
}

function hashKey(key: readonly number[]): number {
  let hash = 0x243f6a88;
  for (const part of key) {
    hash = mix(hash, part | 0);
    hash = mix(hash, Math.floor(part / 2 ** 32) | 0);
  }
  return hash;
}

/** One number in [0, 1) for a key of integers, where no stream is needed: many times cheaper. */
export function uniformAt(...key: readonly number[]): number {
  return (mix(hashKey(key), 1) >>> 0) / 2 ** 32;
}

/**
 * A stream named by a key of integers: seed, purpose, epoch, example, ... It is found without drawing the streams
 * before it, which is what makes a batch a pure function of its number.
 * Generator: sfc32 (Doty-Humphrey, PractRand), its state filled from the hashed key.
 */
export function randomAt(...key: readonly number[]): Random {
  const hash = hashKey(key);
  let a = mix(hash, 1) | 0;
  let b = mix(hash, 2) | 0;
  let c = mix(hash, 3) | 0;
  let counter = 1;
  const draw = (): number => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let round = 0; round < 12; round++) draw();
  return {
    uniform: () => draw() / 2 ** 32,
    below: (n) => Math.floor((draw() / 2 ** 32) * n),
  };
}

/** Fisher-Yates, in place: the first `count` places become a uniform sample without replacement, in random order. */
export function shuffle(items: Int32Array, random: Random, count: number = items.length): void {
  const last = items.length - 1;
  for (let i = 0; i < Math.min(count, last); i++) {
    const j = i + random.below(items.length - i);
    const kept = items[i]!;
    items[i] = items[j]!;
    items[j] = kept;
  }
}
