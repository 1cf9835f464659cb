import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Batch, openMaker } from "../../../runtime/data/index.ts";
import { entailmentCorpus, entailmentLabels } from "../../../runtime/data/labelled/entailment.ts";
import { labelsOf, textsOf } from "../../../runtime/data/labelled/examples.ts";
import {
  type Columns,
  type LabelledFormat,
  type LabelledKind,
  parseLabelled,
} from "../../../runtime/data/labelled/parse-labelled.ts";
import { roleLabels, wordRolesCorpus } from "../../../runtime/data/labelled/word-roles.ts";
import { KilnError } from "../../../runtime/errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const parse = (
  text: string,
  format: LabelledFormat,
  kind: LabelledKind = "Classification",
  columns: Columns = {},
) => parseLabelled(bytes(text), format, kind, columns, `data.${format}`);

function failure(work: () => unknown): KilnError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof KilnError) return thrown;
    throw thrown;
  }
  throw new Error("it should have failed");
}

describe("files", () => {
  test("TSV as GLUE writes it: quotes are text, columns found by their usual names, rows without a label left out", () => {
    const text =
      'id\tsentence1\tsentence2\tgold_label\n1\tA "dog\truns.\tyes\n2\tno\tlabel\t-\n3\tb\tc\t no \n';
    expect(parse(text, "tsv")).toEqual({
      examples: [
        { texts: ['A "dog', "runs."], label: "yes" },
        { texts: ["b", "c"], label: "no" },
      ],
      unlabelled: 1,
    });
  });

  test("CSV with quotes, commas and line breaks in a cell; columns by name", () => {
    const text = 'review,stars\n"good, ""very"" good\nindeed",5\nbad,1\n';
    const columns = { text: "review", label: "stars" };
    expect(parse(text, "csv", "Classification", columns).examples).toEqual([
      { texts: ['good, "very" good\nindeed'], label: "5" },
      { texts: ["bad"], label: "1" },
    ]);
  });

  test("JSON lines with labels as numbers, and words with tags", () => {
    expect(parse('{"text": "a", "label": 1}\n\n{"label": 0, "text": "b"}\n', "jsonl").examples).toEqual([
      { texts: ["a"], label: "1" },
      { texts: ["b"], label: "0" },
    ]);
    const tagged = '{"tokens": ["Ada", "ran"], "ner_tags": ["PER", "O"]}\n';
    expect(parse(tagged, "jsonl", "TokenClassification").examples).toEqual([
      { words: ["Ada", "ran"], labels: ["PER", "O"] },
    ]);
  });

  test("CoNLL: a word a line, its label last, blank lines between texts", () => {
    const text = "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nrejects VBZ I-VP O\n\n\nPeter NNP I-NP B-PER\n";
    expect(parse(text, "conll", "TokenClassification").examples).toEqual([
      { words: ["EU", "rejects"], labels: ["B-ORG", "O"] },
      { words: ["Peter"], labels: ["B-PER"] },
    ]);
  });

  test.each<[string, () => unknown, string]>([
    [
      "no such column",
      () => parse("a\tb\n1\t2\n", "tsv", "Classification", { text: "review" }),
      "no column `review` for the text",
    ],
    ["no usual column", () => parse("a\tb\n1\t2\n", "tsv"), "no column for the text: its columns are a, b"],
    ["an empty text", () => parse("text\tlabel\n\tyes\n", "tsv"), "line 2 of data.tsv has no `text`"],
    ["a broken quote", () => parse('text,label\n"open,1\n', "csv"), "data.csv is no table"],
    [
      "JSON that is none",
      () => parse('{"text": "a", "label": 1}\n{"text"', "jsonl"),
      "line 2 of data.jsonl is not JSON",
    ],
    ["JSON that is no object", () => parse("[1]\n", "jsonl"), "line 1 of data.jsonl is not a JSON object"],
    ["an empty file", () => parse("", "csv"), "is empty"],
    ["no row", () => parse("text,label\n", "csv"), "data.csv has no row"],
    [
      "bytes that are no text",
      () => parseLabelled(Uint8Array.of(0x74, 0xff, 0xfe), "csv", "Classification", {}, "x.csv"),
      "not UTF-8",
    ],
    [
      "words and labels that do not match",
      () => parse("tokens\ttags\na b\tX\n", "tsv", "TokenClassification"),
      "line 2 of data.tsv has 2 words and 1 labels",
    ],
    [
      "a word without a label",
      () => parse("EU\n", "conll", "TokenClassification"),
      "line 1 of data.conll has no label",
    ],
    ["words where texts are wanted", () => parse("EU ORG\n", "conll"), "a label for every word"],
  ])("%s", (_, work, message) => {
    expect(failure(work).message).toContain(message);
  });
});

describe("batches", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kiln-labelled-"));
    const rows = [
      "red apple\tfruit",
      "green pear\tfruit",
      "old car\tthing",
      "new house and a very long garden wall\tthing",
      "blue car\tthing",
    ];
    await writeFile(join(folder, "train.tsv"), `text\tlabel\n${rows.join("\n")}\n`);
    await writeFile(join(folder, "dev.tsv"), "text\tlabel\nred car\tthing\n");
    await writeFile(join(folder, "test.tsv"), "text\tlabel\nred cat\tanimal\n");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const request = (more: Readonly<Record<string, number | string>> = {}) => ({
    kind: "Classification",
    settings: { batch: 2, max_len: 8, classes: 2, ...more },
  });
  const open = (split: "train" | "valid" | "test", once = false, more = {}) =>
    openMaker(request(more), { corpus: folder, split, seed: 1, once });

  test("a pass shows every example once, in its order; what is left of the last batch has weight 0", async () => {
    const maker = await open("train", true);
    expect(maker.batchesInPass).toBe(3);
    expect(maker.labels).toEqual(["fruit", "thing"]);
    const batches = [0, 1, 2].map((i) => maker.make(i));
    expect(batches.map(({ examples }) => examples)).toEqual([2, 2, 1]);
    expect(batches.flatMap(({ fields }) => [...fields.labels!])).toEqual([0, 0, 1, 1, 1, 0]);
    expect(batches.flatMap(({ fields }) => [...fields.weights!])).toEqual([1, 1, 1, 1, 1, 0]);
    // <cls> red apple <sep>, padded; the long one is cut to eight tokens.
    expect([...batches[0]!.fields.valid!]).toEqual([4, 4]);
    expect([...batches[1]!.fields.valid!]).toEqual([4, 8]);
    expect(maker.summary).toContain("1 longer than the model takes and cut");
  });

  test("without end, every epoch shows each example once, in another order for another seed", async () => {
    const rowsOf = ({ fields }: Batch) => [0, 1].map((i) => fields.tokens!.slice(i * 8, i * 8 + 8).join());
    const epochs = async (seed: number) => {
      const maker = await openMaker(request(), { corpus: folder, split: "train", seed });
      const rows = [0, 1, 2, 3, 4].flatMap((i) => rowsOf(maker.make(i)));
      return [rows.slice(0, 5), rows.slice(5, 10)];
    };
    const [first, second] = await epochs(1);
    expect(new Set(first).size).toBe(5);
    expect([...first!].sort()).toEqual([...second!].sort());
    expect(await epochs(2)).not.toEqual([first, second]);
    expect(await epochs(1)).toEqual([first, second]);
  });

  test("of a pair the longer text loses its end first, the second where both are equal", async () => {
    await writeFile(
      join(folder, "pairs.jsonl"),
      `${JSON.stringify({ premise: "a b c d e f", hypothesis: "x y", label: "l" })}\n`.repeat(10),
    );
    const maker = await openMaker(request({ max_len: 8 }), {
      corpus: join(folder, "pairs.jsonl"),
      split: "train",
      seed: 0,
      once: true,
    });
    const { fields } = maker.make(0);
    const words = [...fields.tokens!.slice(0, 8)].map((id) => maker.vocabulary[id]);
    expect(words).toEqual(["<cls>", "a", "b", "c", "<sep>", "x", "y", "<sep>"]);
    expect([...fields.segments!.slice(0, 8)]).toEqual([0, 0, 0, 0, 0, 1, 1, 1]);
  });

  test("labels named in the spec have the ids of their order", async () => {
    const maker = await open("train", true, { label_names: "thing, fruit" });
    expect(maker.labels).toEqual(["thing", "fruit"]);
    expect([...maker.make(0).fields.labels!]).toEqual([1, 1]);
  });

  test("a label outside its set, too many labels and a missing file are named", async () => {
    await expect(open("test")).rejects.toThrow(
      "has the label `animal`, which is not among the classes: fruit, thing",
    );
    await expect(open("train", false, { classes: 1 })).rejects.toThrow(
      "has 2 labels (fruit, thing), and the model 1 classes",
    );
    await rm(join(folder, "test.tsv"));
    await expect(open("test")).rejects.toThrow("has no test file");
  });
});

describe("generated tasks", () => {
  test("entailment: a third of each label, no text of the training split in the others, the same every time", () => {
    const train = entailmentCorpus("train").split.examples;
    const test = entailmentCorpus("test").split.examples;
    for (const label of entailmentLabels) {
      const share = test.filter((example) => labelsOf(example)[0] === label).length / test.length;
      expect(Math.abs(share - 1 / 3)).toBeLessThan(0.05);
    }
    const seen = new Set(train.map((example) => textsOf(example).join("|")));
    const both = test.filter((example) => seen.has(textsOf(example).join("|"))).length;
    expect(both / test.length).toBeLessThan(0.01);
    expect(entailmentCorpus("train").split.examples).toEqual(train);
  });

  test("word roles: a label a word, and every label occurs", () => {
    const { examples } = wordRolesCorpus("train").split;
    for (const example of examples) expect(labelsOf(example)).toHaveLength(textsOf(example).length);
    expect(new Set(examples.flatMap(labelsOf))).toEqual(new Set(roleLabels));
    const example = examples.find((candidate) => textsOf(candidate).includes("mends"));
    expect(labelsOf(example!)[textsOf(example!).indexOf("mends")]).toBe("verb");
  });
});
