import { KilnError } from "../errors.ts";
import type { SpecialTokens } from "../tokenizer-description.ts";

/** Tokens that every vocabulary of words holds beside them. */
export const specialTokens = ["<unk>", "<pad>", "<mask>", "<cls>", "<sep>"] as const;

/** A vocabulary ready for look-ups. Ids are places in `tokens`. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly ids: ReadonlyMap<string, number>;
  readonly unknown: number;
  readonly pad: number;
  readonly mask: number;
  readonly cls: number;
  readonly sep: number;
}

/** Tokens of a sentence. Space is the only separator: other Unicode spaces may be tokens (U+FEFF is, in WikiText-2). */
export function tokensOf(sentence: string): string[] {
  return sentence.split(" ");
}

/** Where the tokens of a sentence begin and end. */
export function eachToken(sentence: string, take: (start: number, end: number) => void): void {
  for (let start = 0; ; ) {
    const end = sentence.indexOf(" ", start);
    take(start, end < 0 ? sentence.length : end);
    if (end < 0) return;
    start = end + 1;
  }
}

export function countTokens(paragraphs: readonly (readonly string[])[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const paragraph of paragraphs) {
    for (const sentence of paragraph) {
      for (const token of tokensOf(sentence)) counts.set(token, (counts.get(token) ?? 0) + 1);
    }
  }
  return counts;
}

/**
 * The tokens seen `minFrequency` times or more and the special ones: one set, sorted by code point, so that special ids
 * are not 0..4. Where more than `limit` would remain, the most frequent words stay (equal counts: by code point).
 * @param limit most entries, special tokens included: the model's vocabulary size
 * @throws KilnError when not one word is frequent enough or the limit leaves room for none
 */
export function buildVocabulary(
  counts: ReadonlyMap<string, number>,
  minFrequency: number,
  limit: number | undefined,
): string[] {
  const special: ReadonlySet<string> = new Set(specialTokens);
  let words = [...counts].filter(([word, count]) => count >= minFrequency && !special.has(word));
  if (words.length === 0) {
    throw new KilnError(
      "user",
      `the corpus is too short: no word occurs ${minFrequency} times or more`,
      "give a longer text, or set a lower min_frequency in the spec's data line",
    );
  }
  if (limit !== undefined && limit <= special.size) {
    throw new KilnError(
      "user",
      `a vocabulary of ${limit} leaves no room for words beside the ${special.size} special tokens`,
      "set a larger vocab",
    );
  }
  if (limit !== undefined && words.length > limit - special.size) {
    words.sort(([a, countA], [b, countB]) => countB - countA || compareCodePoints(a, b));
    words = words.slice(0, limit - special.size);
  }
  return [...special, ...words.map(([word]) => word)].sort(compareCodePoints);
}

/** How the special tokens of a word vocabulary are spelled. */
export const wordSpecials: SpecialTokens = {
  unknown: "<unk>",
  pad: "<pad>",
  mask: "<mask>",
  cls: "<cls>",
  sep: "<sep>",
};

/**
 * Look-up tables of a vocabulary.
 * @param specials how its special tokens are spelled
 * @throws KilnError when a special token is missing or a token occurs twice
 */
export function indexVocabulary(
  tokens: readonly string[],
  specials: SpecialTokens = wordSpecials,
): Vocabulary {
  const ids = new Map<string, number>();
  const repeated: string[] = [];
  tokens.forEach((token, id) => {
    if (ids.has(token)) repeated.push(token);
    ids.set(token, id);
  });
  if (repeated.length > 0) {
    throw new KilnError(
      "user",
      `the vocabulary has ${repeated.length} repeated tokens, ${JSON.stringify(repeated[0])} first`,
    );
  }
  const find = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined) throw new KilnError("user", `the vocabulary lacks the special token ${token}`);
    return id;
  };
  return {
    tokens,
    ids,
    unknown: find(specials.unknown),
    pad: find(specials.pad),
    mask: find(specials.mask),
    cls: find(specials.cls),
    sep: find(specials.sep),
  };
}

/**
 * Order by code point. JavaScript compares UTF-16 units, where a surrogate (a character beyond U+FFFF) sorts before
 * U+E000..U+FFFF; adding 0x2800 to it, and 0x800 off the others above, restores the order.
 */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return surrogatesLast(x) - surrogatesLast(y);
  }
  return a.length - b.length;
}

function surrogatesLast(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}
