import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openMaker } from "../../runtime/data/index.ts";

const folder = fileURLToPath(new URL("../../../shared/data/wikitext-2", import.meta.url));
const present = existsSync(`${folder}/train.txt`);
if (!present) console.log(`skipped: WikiText-2 is not at ../shared/data/wikitext-2 beside the repository`);

describe.skipIf(!present)("WikiText-2 against the reference's figures", () => {
  const request = { kind: "PretrainingPairs", settings: { batch: 512, max_len: 64 } };

  test("vocabulary, paragraphs, sentences, examples", async () => {
    const maker = await openMaker(request, {
      corpus: folder,
      split: "train",
      seed: 1,
      vocabularySize: 20256,
    });
    expect(maker.vocabulary.length).toBe(20256);
    const sha256 = createHash("sha256").update(maker.vocabulary.map((token) => `${token}\n`).join(""));
    expect(sha256.digest("hex")).toBe("9fd5322321806f3ae5a6fa815628334ec0470b2b5885fa82b2b90bfe40815fee");
    const ids = ["<cls>", "<mask>", "<pad>", "<sep>", "<unk>"].map((token) =>
      maker.vocabulary.indexOf(token),
    );
    expect(ids).toEqual([942, 943, 944, 945, 946]);
    expect(maker.vocabulary.includes("\uFEFF")).toBe(true);
    expect(maker.summary).toContain("15496 paragraphs, 74631 sentences, 1926788 tokens");

    // 43,550 to 43,630 over the reference's three seeds; the number is random with a deviation near 60.
    const examples = Number(/(\d+) pairs/.exec(maker.summary)?.[1]);
    expect(examples).toBeGreaterThan(43_590 - 240);
    expect(examples).toBeLessThan(43_590 + 240);

    let valid = 0;
    let predictions = 0;
    let next = 0;
    const count = 85 * 512;
    for (let i = 0; i < 85; i++) {
      const batch = maker.make(i);
      valid += batch.validTokens;
      for (const weight of batch.fields.weights!) predictions += weight;
      for (const label of batch.fields.next!) next += label;
      expect(batch.fields.positions!.length).toBe(512 * 10);
    }
    expect(valid / count).toBeCloseTo(46.2, 1);
    // Of the reference 6.95; the deviation of the mean over one seed's pairs is about 0.012.
    expect(predictions / count).toBeGreaterThan(6.9);
    expect(predictions / count).toBeLessThan(7.0);
    // 50.7 to 50.9 %, with a deviation of 0.24 %.
    expect(next / count).toBeGreaterThan(0.5);
    expect(next / count).toBeLessThan(0.517);
  });

  test("held-out text is read with the training vocabulary", async () => {
    const all = { kind: "PretrainingPairs", settings: { batch: 8, max_len: 64, next_sentence: "false" } };
    for (const [split, fitting] of [
      ["valid", 4680],
      ["test", 5601],
    ] as const) {
      const maker = await openMaker(all, { corpus: folder, split, seed: 1 });
      expect(maker.vocabulary.length).toBe(20256);
      expect(maker.summary).toContain(`${fitting} pairs`);
    }
  });
});
