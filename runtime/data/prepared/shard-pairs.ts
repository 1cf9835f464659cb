import { specialsOfPair } from "../pretraining-pairs.ts";
import type { Random } from "../random.ts";
import type { ShardEntry } from "./manifest.ts";
import type { ShardText } from "./shard-format.ts";

/** Sentence pairs of a shard that can be drawn: known by the first sentence of each. */
export interface ShardPairs {
  readonly text: ShardText;
  /** Sentences whose next one in the paragraph fits beside them. */
  readonly first: Int32Array;
}

/** Pairs of true neighbours that fit into `maxLength`: how many examples a shard has, whatever the seed. */
export function countPairs({ pairs }: Pick<ShardEntry, "pairs">, maxLength: number): number {
  let count = 0;
  for (const [tokens, times] of pairs) if (tokens + specialsOfPair <= maxLength) count += times;
  return count;
}

export function findPairs(text: ShardText, maxLength: number): ShardPairs {
  const { sentenceStarts, paragraphStarts } = text;
  const first = new Int32Array(sentenceStarts.length);
  let count = 0;
  for (let p = 0; p + 1 < paragraphStarts.length; p++) {
    for (let a = paragraphStarts[p]!; a < paragraphStarts[p + 1]! - 1; a++) {
      if (sentenceStarts[a + 2]! - sentenceStarts[a]! + specialsOfPair <= maxLength) first[count++] = a;
    }
  }
  return { text, first: first.slice(0, count) };
}

/** Draws of a random second sentence before the true one is taken: of sentences half of which fit, one in 60,000 comes to that. */
const mostDraws = 16;

/**
 * The second sentence of pair `ordinal`: with probability 1/2 the true next one, else a uniform sentence of a uniform paragraph of
 * the shard, drawn again while it does not fit.
 *
 * The book drops a pair that does not fit. Here the number of pairs must not depend on what is drawn, or where an example lies
 * could only be known by drawing all before it.
 */
export function drawSecond(
  { text: { sentenceStarts, paragraphStarts }, first }: ShardPairs,
  ordinal: number,
  maxLength: number,
  nextSentence: boolean,
  random: Random,
): { readonly a: number; readonly b: number; readonly next: 0 | 1 } {
  const a = first[ordinal]!;
  const trueNext = { a, b: a + 1, next: 1 } as const;
  if (!nextSentence || random.uniform() < 0.5) return trueNext;
  const room = maxLength - specialsOfPair - (sentenceStarts[a + 1]! - sentenceStarts[a]!);
  for (let draw = 0; draw < mostDraws; draw++) {
    const paragraph = random.below(paragraphStarts.length - 1);
    const start = paragraphStarts[paragraph]!;
    const b = start + random.below(paragraphStarts[paragraph + 1]! - start);
    if (sentenceStarts[b + 1]! - sentenceStarts[b]! <= room) return { a, b, next: 0 };
  }
  return trueNext;
}
