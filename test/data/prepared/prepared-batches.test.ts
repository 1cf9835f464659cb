import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { DataRequest } from "../../../compiler/program/index.ts";
import {
  type Batch,
  type BatchMaker,
  type Manifest,
  openBatches,
  openMaker,
  readManifest,
  totalsOf,
} from "../../../runtime/data/index.ts";
import { groupAt, groupShards } from "../../../runtime/data/prepared/epoch-groups.ts";
import { loadShard } from "../../../runtime/data/prepared/prepared-folder.ts";
import { findPairs } from "../../../runtime/data/prepared/shard-pairs.ts";
import { shuffleShards } from "../../../runtime/data/prepared/shuffled-shards.ts";
import { prepare, testFolder, tokenisedText } from "./folder.ts";

const files = testFolder("prepared-batches");
const folder = files.path("prepared");
const maxLength = 20;
const batch = 8;
let manifest: Manifest;

beforeAll(async () => {
  await prepare(files.write("text.txt", tokenisedText(400)), folder, { shares: { valid: 0.1, test: 0 } });
  manifest = await readManifest(folder);
});

const pairs = (settings: Record<string, number | string> = {}): DataRequest => ({
  kind: "PretrainingPairs",
  settings: { batch, max_len: maxLength, ...settings },
});
/** Three shards or so: an epoch has several groups. */
const bufferBytes = 6000;
const open = (
  request: DataRequest,
  options: { seed?: number; bufferBytes?: number; split?: "train" | "valid" } = {},
) => openMaker(request, { corpus: folder, split: "train", seed: 5, bufferBytes, ...options });

/** An example of a batch before it was masked: `<cls> a <sep> b <sep>` as words, and its label. */
function unmasked({ fields }: Batch, row: number, vocabulary: readonly string[]): string {
  const { tokens, valid, positions, labels, weights, next } = fields;
  const ids = [...tokens!.subarray(row * maxLength, row * maxLength + valid![row]!)];
  const slots = weights!.length / batch;
  for (let slot = row * slots; slot < (row + 1) * slots; slot++) {
    if (weights![slot] === 1) ids[positions![slot]!] = labels![slot]!;
  }
  return `${ids.map((id) => vocabulary[id]).join(" ")} ${next![row]}`;
}

function examples(maker: BatchMaker, from: number, count: number): string[] {
  const found: string[] = [];
  for (let place = from; place < from + count; place++) {
    found.push(unmasked(maker.make(Math.floor(place / batch)), place % batch, maker.vocabulary));
  }
  return found;
}

/** All examples of an epoch, from the shards: the first sentence of every pair that fits. */
function firstSentences(split: "train" | "valid" = "train"): string[] {
  return manifest.splits[split].flatMap((entry) => {
    const { text, first } = findPairs(loadShard(folder, entry, manifest.vocabulary.length), maxLength);
    const words = (at: number): string =>
      [...text.tokens.subarray(text.sentenceStarts[at]!, text.sentenceStarts[at + 1]!)]
        .map((id) => manifest.vocabulary[id])
        .join(" ");
    return [...first].map(words);
  });
}
const firstOf = (example: string): string => /^<cls> (.*?) <sep>/.exec(example)?.[1] ?? "";

describe("sentence pairs of shards", () => {
  test("an epoch has every pair that fits, each once, in an order of its own; the pairs stay, epoch after epoch", async () => {
    const all = firstSentences().sort();
    const count = all.length;
    const maker = await open(pairs());
    expect(maker.summary).toContain(`, ${count} pairs (${(count / batch).toFixed(1)} batches an epoch)`);
    expect(maker.summary).toContain(
      `${totalsOf(manifest.splits.train).tokens} tokens in ${manifest.splits.train.length} shards`,
    );
    const first = examples(maker, 0, count);
    const second = examples(maker, count, count);
    expect(first.map(firstOf).sort()).toEqual(all);
    expect(second).not.toEqual(first);
    expect([...second].sort()).toEqual([...first].sort());
  });

  test("half of them are random, none is too long, and both kinds have the sentences that they say", async () => {
    const maker = await open(pairs());
    const sentences = new Set<string>();
    const follows = new Set<string>();
    for (const entry of manifest.splits.train) {
      const { tokens, sentenceStarts, paragraphStarts } = loadShard(
        folder,
        entry,
        manifest.vocabulary.length,
      );
      const words = (at: number): string =>
        [...tokens.subarray(sentenceStarts[at]!, sentenceStarts[at + 1]!)]
          .map((id) => manifest.vocabulary[id])
          .join(" ");
      for (let p = 0; p + 1 < paragraphStarts.length; p++) {
        for (let s = paragraphStarts[p]!; s < paragraphStarts[p + 1]!; s++) {
          sentences.add(words(s));
          if (s + 1 < paragraphStarts[p + 1]!) follows.add(`<cls> ${words(s)} <sep> ${words(s + 1)} <sep> 1`);
        }
      }
    }
    const count = firstSentences().length;
    const found = examples(maker, 0, count);
    const random = found.filter((example) => example.endsWith(" 0"));
    expect(
      found.filter((example) => example.endsWith(" 1")).filter((example) => !follows.has(example)),
    ).toEqual([]);
    const seconds = random.map((example) => / <sep> (.*) <sep> 0$/.exec(example)?.[1] ?? "");
    expect(seconds.filter((second) => !sentences.has(second))).toEqual([]);
    // Five standard deviations.
    expect(Math.abs(random.length - count / 2)).toBeLessThan(2.5 * Math.sqrt(count));
    const always = await open(pairs({ next_sentence: "false" }));
    expect(examples(always, 0, count).every((example) => follows.has(example))).toBe(true);
  });

  test("a batch is a pure function of its number: in any order, whatever is in memory, across groups and epochs", async () => {
    const count = firstSentences().length;
    const batches = Math.ceil((2.5 * count) / batch);
    const straight = await open(pairs({ masking: "dynamic" }));
    const made = Array.from({ length: batches }, (_, i) => straight.make(i));
    const jumping = await open(pairs({ masking: "dynamic" }));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: batches - 1 }), (index) => {
        expect(jumping.make(index)).toEqual(made[index]);
      }),
      { numRuns: 60 },
    );
    // A run that goes on in the middle of an epoch.
    const middle = Math.floor(batches / 3);
    const resumed = await open(pairs({ masking: "dynamic" }));
    for (let i = middle; i < batches; i++) expect(resumed.make(i)).toEqual(made[i]);
    expect(() => jumping.make(-1)).toThrow("there is no batch -1");
  });

  test("in a thread, and after a seek", async () => {
    const maker = await open(pairs());
    const source = await openBatches(pairs(), { corpus: folder, split: "train", seed: 5, bufferBytes });
    try {
      expect(source.summary).toBe(maker.summary);
      source.seek(123);
      for (let i = 123; i < 130; i++) expect(await source.next()).toEqual(maker.make(i));
      source.seek(2);
      expect(await source.next()).toEqual(maker.make(2));
    } finally {
      await source.close();
    }
  });

  test("masks: static ones stay with their example, dynamic ones are new each epoch; the buffer changes the order alone", async () => {
    const count = firstSentences().length;
    const masked = (maker: BatchMaker, epoch: number): string[] => {
      const found: string[] = [];
      for (let place = epoch * count; place < (epoch + 1) * count; place++) {
        const made = maker.make(Math.floor(place / batch));
        const row = place % batch;
        const part = (name: string): string => {
          const field = made.fields[name]!;
          const width = field.length / batch;
          return field.subarray(row * width, (row + 1) * width).join();
        };
        found.push(["tokens", "positions", "labels", "next"].map(part).join(";"));
      }
      return found.sort();
    };
    const fixed = await open(pairs());
    expect(masked(fixed, 1)).toEqual(masked(fixed, 0));
    const dynamic = await open(pairs({ masking: "dynamic" }));
    expect(masked(dynamic, 0)).toEqual(masked(fixed, 0));
    const inFirst = new Set(masked(dynamic, 0));
    const again = masked(dynamic, 1).filter((example) => inFirst.has(example)).length;
    expect(again).toBeLessThan(count / 4);
    expect(masked(await open(pairs(), { bufferBytes: 10 ** 6 }), 0)).toEqual(masked(fixed, 0));
    expect(masked(await open(pairs(), { seed: 6 }), 0)).not.toEqual(masked(fixed, 0));
  });

  test("a held-out split has its own text; one without a pair, and a max_len that none fits, are told", async () => {
    const valid = await open(pairs(), { split: "valid" });
    const all = firstSentences("valid").sort();
    expect(examples(valid, 0, all.length).map(firstOf).sort()).toEqual(all);
    const options = { corpus: folder, seed: 0 } as const;
    await expect(openMaker(pairs(), { ...options, split: "test" })).rejects.toThrow(
      /^no two neighbouring sentences of the test part of .* fit into max_len 20$/,
    );
    await expect(openMaker(pairs({ max_len: 6 }), { ...options, split: "train" })).rejects.toThrow(
      /max_len 6$/,
    );
    const text = { kind: "CausalText", settings: { batch, max_len: 8 } };
    await expect(openMaker(text, { ...options, split: "test" })).rejects.toThrow(/has no text$/);
  });
});

test("windows of running text cover every shard, each target once an epoch", async () => {
  const length = 16;
  const maker = await openMaker(
    { kind: "CausalText", settings: { batch, max_len: length } },
    { corpus: folder, split: "train", seed: 1, bufferBytes },
  );
  const sep = manifest.vocabulary.indexOf("<sep>");
  const expected = manifest.splits.train.flatMap((entry) => {
    const { tokens, sentenceStarts } = loadShard(folder, entry, manifest.vocabulary.length);
    const running: number[] = [];
    for (let s = 0; s + 1 < sentenceStarts.length; s++) {
      running.push(...tokens.subarray(sentenceStarts[s]!, sentenceStarts[s + 1]!), sep);
    }
    const windows: string[] = [];
    for (let at = 0; at < running.length - 1; at += length) {
      windows.push(
        `${running.slice(at, Math.min(at + length, running.length - 1))}|${running.slice(at + 1, at + 1 + length)}`,
      );
    }
    return windows;
  });
  const found: string[] = [];
  for (let place = 0; place < expected.length; place++) {
    const { tokens, targets, weights } = maker.make(Math.floor(place / batch)).fields;
    const from = (place % batch) * length;
    const count = [...weights!.subarray(from, from + length)].reduce((sum, weight) => sum + weight, 0);
    found.push(`${tokens!.subarray(from, from + count)}|${targets!.subarray(from, from + count)}`);
  }
  expect(found).not.toEqual(expected);
  expect(found.sort()).toEqual(expected.sort());
});

describe("groups of shards", () => {
  const shards = fc.array(fc.record({ examples: fc.nat(5), bytes: fc.integer({ min: 1, max: 9 }) }), {
    minLength: 1,
    maxLength: 30,
  });

  test("every shard is in one group, none is larger than the buffer but by a single shard, and examples are found", () => {
    fc.assert(
      fc.property(shards, fc.integer({ min: 1, max: 20 }), fc.nat(3), (list, buffer, epoch) => {
        const groups = groupShards(list, buffer, [1, 0], epoch);
        const total = list.reduce((sum, { examples }) => sum + examples, 0);
        expect(groups.reduce((sum, group) => sum + group.examples, 0)).toBe(total);
        const members = groups.flatMap((group) => group.shards);
        expect(new Set(members).size).toBe(members.length);
        for (const group of groups) {
          const bytes = group.shards.reduce((sum, shard) => sum + list[shard]!.bytes, 0);
          expect(bytes <= buffer || group.shards.length === 1).toBe(true);
        }
        for (let example = 0; example < total; example++) {
          const { group, number } = groupAt(groups, example);
          expect(groups[number]).toBe(group);
          expect(example).toBeGreaterThanOrEqual(group.firstExample);
          expect(example).toBeLessThan(group.firstExample + group.examples);
        }
      }),
    );
  });

  test("a pass reads every shard once, and keeps two groups at most", () => {
    const list = Array.from({ length: 12 }, (_, i) => ({ examples: 3 + (i % 4), bytes: 2 }));
    const loads: number[] = [];
    const shuffled = shuffleShards(list, (shard) => loads.push(shard), 6, [1, 0]);
    for (let place = 0; place < 2 * shuffled.examples; place++) shuffled.at(place);
    expect(loads).toHaveLength(24);
    expect([...loads.slice(0, 12)].sort((a, b) => a - b)).toEqual(list.map((_, i) => i));
    expect(loads.slice(12)).not.toEqual(loads.slice(0, 12));
    // The two groups that were used last are there still; the one before them is not.
    const end = 2 * shuffled.examples - 1;
    shuffled.at(end - 3 * 7);
    shuffled.at(end);
    expect(loads).toHaveLength(24);
    shuffled.at(0);
    expect(loads).toHaveLength(27);
  });
});
