import { readFile, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { KilnError, messageOf } from "../../errors.ts";
import { type Split, splitNumber } from "../corpus.ts";
import { randomAt, shuffle, stream } from "../random.ts";
import type { LabelledCorpus, LabelledSplit } from "./examples.ts";
import {
  type Columns,
  type LabelledFormat,
  type LabelledKind,
  labelledFormats,
  parseLabelled,
} from "./parse-labelled.ts";

/** Names a split may have beside its own. */
const alsoCalled: Readonly<Record<Split, readonly string[]>> = {
  train: ["train"],
  valid: ["valid", "validation", "dev"],
  test: ["test"],
};

/** Of one file: shares of the examples that are held out. */
const heldOut = { valid: 0.1, test: 0.1 } as const;

/**
 * Reads labelled examples: a folder with a file for each split (`train.tsv`, `valid.tsv` or `dev.tsv`, `test.tsv`; or .csv, .jsonl,
 * .conll), or one file, of which 80 % are the training split and 10 % each of the others, drawn in a fixed order.
 * @throws KilnError (`user`) when the path does not exist, a split's file is missing, and for what is wrong in a file
 */
export async function readLabelled(
  path: string,
  split: Split,
  kind: LabelledKind,
  columns: Columns,
): Promise<LabelledCorpus> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined)
    throw new KilnError(
      "user",
      `there is no labelled data at ${path}`,
      "check the path, or leave out --corpus",
    );
  const read = async (file: string, format: LabelledFormat): Promise<LabelledSplit> =>
    parseLabelled(await readBytes(file), format, kind, columns, file);
  const name = basename(path);
  if (!info.isDirectory()) {
    const format = labelledFormats.find((known) => extname(path).toLowerCase() === `.${known}`);
    if (format === undefined)
      throw new KilnError(
        "user",
        `${path} is none of ${labelledFormats.map((known) => `.${known}`).join(", ")}`,
      );
    const whole = await read(path, format);
    return { name, split: partOf(whole, split), train: partOf(whole, "train") };
  }
  const readSplit = async (wanted: Split): Promise<LabelledSplit> => {
    for (const stem of alsoCalled[wanted]) {
      for (const format of labelledFormats) {
        const file = join(path, `${stem}.${format}`);
        if ((await stat(file).catch(() => undefined))?.isFile()) return read(file, format);
      }
    }
    throw new KilnError(
      "user",
      `the folder ${path} has no ${wanted} file`,
      `expected ${alsoCalled[wanted].join(" or ")} with ${labelledFormats.map((known) => `.${known}`).join(", ")}`,
    );
  };
  const train = await readSplit("train");
  return { name, split: split === "train" ? train : await readSplit(split), train };
}

/** Files are often sorted by class or source, so the parts are drawn, always alike. */
function partOf({ examples, unlabelled }: LabelledSplit, split: Split): LabelledSplit {
  const order = Int32Array.from(examples, (_, i) => i);
  shuffle(order, randomAt(0, stream.labelledSplit));
  const valid = Math.round(examples.length * heldOut.valid);
  const test = Math.round(examples.length * heldOut.test);
  const train = examples.length - valid - test;
  const bounds = [0, train, train + valid, examples.length];
  const part = order.subarray(bounds[splitNumber[split]], bounds[splitNumber[split] + 1]);
  // In the order of the file, which a person may want to compare with.
  return { examples: [...part.sort()].map((i) => examples[i]!), unlabelled };
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (thrown) {
    throw new KilnError("user", `cannot read ${path}: ${messageOf(thrown)}`, undefined, thrown);
  }
}
