import { createHash } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { isPrepared, openBatches, openMaker, readManifest } from "../../../runtime/data/index.ts";
import { uncasedWordPiece, wordsTokenizer } from "../../../runtime/tokenizer/index.ts";
import { prepare, testFolder, tokenisedText } from "./folder.ts";

const files = testFolder("damaged");
let copies = 0;
beforeAll(async () => {
  await prepare(files.write("text.txt", tokenisedText(60)), files.path("good"), { shardBytes: 10 ** 6 });
});

const request = { kind: "PretrainingPairs", settings: { batch: 2, max_len: 32 } };
const shard = "train-00000.shard";

/** A copy of the good folder, to be spoilt. */
function copy(): string {
  const folder = files.path(`copy${copies++}`);
  cpSync(files.path("good"), folder, { recursive: true });
  return folder;
}

/** What opening a folder and making a batch says is wrong, without the folder's path. */
async function wrong(folder: string, options: object = {}): Promise<string> {
  try {
    const maker = await openMaker(request, { corpus: folder, split: "train", seed: 0, ...options });
    maker.make(0);
    return "nothing";
  } catch (error) {
    expect(error).toMatchObject({ name: "KilnError", kind: "user" });
    return error instanceof Error ? error.message.replaceAll(`${folder}/`, "").replaceAll(folder, "F") : "";
  }
}

type Json = Record<string, unknown>;
interface Entry extends Json {
  bytes: number;
  sha256: string;
  tokens: number;
  pairs: [number, number][];
}

/** The folder with its manifest changed. */
function withManifest(change: (manifest: Json, entry: Entry) => void): string {
  const folder = copy();
  const manifest = JSON.parse(readFileSync(`${folder}/manifest.json`, "utf8")) as Json & {
    splits: { train: Entry[] };
  };
  change(manifest, manifest.splits.train[0]!);
  writeFileSync(`${folder}/manifest.json`, JSON.stringify(manifest));
  return folder;
}

/** The folder with its shard changed; `honest`: the manifest has the new file's size and hash. */
function withShard(change: (bytes: Buffer) => Uint8Array, honest = false): string {
  let bytes: Uint8Array = new Uint8Array();
  const folder = withManifest((_, entry) => {
    bytes = change(readFileSync(files.path("good", shard)));
    if (honest) entry.sha256 = createHash("sha256").update(bytes).digest("hex");
  });
  writeFileSync(`${folder}/${shard}`, bytes);
  return folder;
}

test("a good one is read", async () => {
  expect(await isPrepared(files.path("good"))).toBe(true);
  expect(await isPrepared(files.path("text.txt"))).toBe(false);
  expect(await wrong(files.path("good"))).toBe("nothing");
});

describe("a damaged shard is told when it is read", () => {
  test("truncated, longer, or missing", async () => {
    const size = readFileSync(files.path("good", shard)).length;
    expect(await wrong(withShard((bytes) => bytes.subarray(0, size - 100)))).toBe(
      `${shard} is damaged: it has ${size - 100} bytes, and ${size} were written`,
    );
    expect(await wrong(withShard((bytes) => Buffer.concat([bytes, bytes])))).toContain(
      `it has ${2 * size} bytes`,
    );
    expect(await wrong(withShard(() => new Uint8Array()))).toContain("it has 0 bytes");
    const folder = withManifest((_, entry) => {
      entry.file = "train-00007.shard";
    });
    expect(await wrong(folder)).toMatch(/^cannot read train-00007\.shard: ENOENT/);
  });

  test("any flipped bit", async () => {
    for (const at of [0, 9, 20, 40, 300, -1]) {
      const flipped = withShard((bytes) => {
        const place = (at + bytes.length) % bytes.length;
        bytes[place] = bytes[place]! ^ 4;
        return bytes;
      });
      expect(await wrong(flipped)).toBe(
        `${shard} is damaged: its contents are not those that were written (SHA-256)`,
      );
    }
  });

  test("through the data thread, as the error of the batch", async () => {
    const source = await openBatches(request, {
      corpus: withShard((bytes) => bytes.fill(7)),
      split: "train",
      seed: 0,
    });
    await expect(source.next()).rejects.toThrow(/is damaged: its contents/);
    await source.close();
  });

  test("one whose hash is right and whose contents make no sense", async () => {
    const set = (at: number, value: number) =>
      wrong(
        withShard((bytes) => {
          bytes.writeUInt32LE(value, at);
          return bytes;
        }, true),
      );
    expect(await set(0, 1)).toContain("is damaged: it is no shard");
    expect(await set(8, 2)).toContain("has version 2 of the format, and this program reads version 1");
    expect(await set(12, 3)).toContain("it has 3 bytes a token");
    expect(await set(16, 0xffff_ffff)).toContain("its counts need ");
    expect(await set(32, 0xffff_ffff)).toContain("its paragraphs do not add up to its sentences");
    const sentences = 32 + 4 * 60;
    expect(await set(sentences, 0)).toContain("its sentences do not add up to its tokens");
    const last = readFileSync(files.path("good", shard)).length - 4;
    expect(await set(last, 0xffff_ffff)).toMatch(/token \d+ is 65535, and the vocabulary has \d+ entries/);
  });
});

describe("a manifest that lies is told", () => {
  const change = (to: (manifest: Json, entry: Entry) => void): Promise<string> => wrong(withManifest(to));
  const text = async (content: string): Promise<string> => {
    const folder = copy();
    writeFileSync(`${folder}/manifest.json`, content);
    return wrong(folder);
  };

  test("that is none, or of another version", async () => {
    expect(await text("{")).toMatch(/^manifest\.json is damaged: it is no JSON/);
    for (const other of ["[]", "null", "{}", '{"format":"kiln-tuning"}']) {
      expect(await text(other)).toBe("manifest.json describes no prepared corpus");
    }
    const later = await change((manifest) => {
      manifest.version = 2;
    });
    expect(later).toBe("manifest.json has version 2 of the format, and this program reads version 1");
    const whole = readFileSync(files.path("good/manifest.json"), "utf8");
    expect(await text(whole.slice(0, whole.length / 2))).toContain("it is no JSON");
  });

  test("with a name that leads elsewhere", async () => {
    for (const file of [
      "../good/train-00000.shard",
      "/etc/passwd",
      "valid-00000.shard",
      "train-1.shard",
      7,
      null,
    ]) {
      const said = await change((_, entry) => {
        entry.file = file;
      });
      expect(said).toBe(`manifest.json is damaged: shard 0 of train is called ${JSON.stringify(file)}`);
    }
  });

  test("with absurd numbers, and with numbers that contradict each other", async () => {
    for (const [name, value] of [
      ["tokens", -1],
      ["sentences", 1.5],
      ["paragraphs", "7"],
      ["tokens", 2 ** 60],
      ["bytes", null],
    ] as const) {
      const said = await change((_, entry) => {
        Object.assign(entry, { [name]: value });
      });
      expect(said).toContain("has counts that are no whole numbers of 0 or more");
    }
    const tooMany = await change((_, entry) => {
      entry.tokens += 2 ** 40;
      entry.bytes += 2 ** 41;
    });
    expect(tooMany).toMatch(/has \d+ bytes, more than the 1073741824 that one may have/);
    const tokens = await change((_, entry) => {
      entry.tokens += 1;
    });
    expect(tokens).toMatch(/has \d+ bytes, and its counts need \d+/);
    const pairs = await change((_, entry) => {
      entry.pairs = [[9, 10 ** 6]];
    });
    expect(pairs).toMatch(/has 1000000 pairs in \d+ sentences of 60 paragraphs/);
    const fewer = await change((_, entry) => {
      entry.pairs[0]![1] -= 1;
    });
    expect(fewer).toBe(`${shard} is damaged: its counts are not those of manifest.json`);
    const moved = await change((_, entry) => {
      [entry.tokens, entry.sentences] = [entry.tokens - 2, Number(entry.sentences) + 1];
    });
    expect(moved).toBe(`${shard} is damaged: its counts are not those of manifest.json`);
    const twice = await change(({ splits }, entry) => {
      Object.assign(splits as Json, { train: [entry, entry] });
    });
    expect(twice).toContain("train has a shard twice");
  });

  test("with fields of other kinds", async () => {
    const cases: readonly (readonly [string, unknown, string])[] = [
      ["name", 1, "it does not say what it is called"],
      ["shares", [], "its shares are no numbers"],
      ["sources", [{ name: "a" }], "its sources are no list"],
      ["tokenizer", { kind: "bpe" }, "its tokenizer makes no sense: its kind is"],
      ["vocabulary", ["a", 1], "its vocabulary is no list of tokens"],
      ["vocabulary", ["a", "b"], "the vocabulary lacks the special token <unk>"],
      ["tokenBytes", 3, "it has 3 bytes a token"],
      ["splits", { train: [] }, "its split valid is no list of shards"],
      ["splits", { train: [1], valid: [], test: [] }, "shard 0 of train is no object"],
    ];
    for (const [name, value, said] of cases) {
      const found = await change((manifest) => {
        manifest[name] = value;
      });
      expect(found).toContain(said);
    }
  });
});

describe("a model that cannot take it is told", () => {
  test("with a smaller vocabulary", async () => {
    const { vocabulary } = await readManifest(files.path("good"));
    expect(await wrong(files.path("good"), { vocabularySize: 70 })).toBe(
      `F was prepared with a vocabulary of ${vocabulary.length} entries, and the model takes 70`,
    );
    expect(await wrong(files.path("good"), { vocabularySize: vocabulary.length })).toBe("nothing");
  });

  test("with another tokenizer than the checkpoint's", async () => {
    const { vocabulary } = await readManifest(files.path("good"));
    const said = "F was prepared with another tokenizer than the one to read it with";
    expect(await wrong(files.path("good"), { vocabulary })).toBe("nothing");
    expect(await wrong(files.path("good"), { vocabulary, tokenizer: wordsTokenizer })).toBe("nothing");
    expect(await wrong(files.path("good"), { vocabulary: [...vocabulary].reverse() })).toBe(said);
    expect(await wrong(files.path("good"), { vocabulary: vocabulary.slice(1) })).toBe(said);
    expect(await wrong(files.path("good"), { vocabulary, tokenizer: uncasedWordPiece })).toBe(said);
  });
});
