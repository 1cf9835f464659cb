import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../oracle/huggingface-fixture.ts";
import { floats, ModelCopy } from "./model-files.ts";

const folder = await temporaryFolder();
afterAll(folder.remove);

let copies = 0;

/** What `import` says of a folder that was changed; it must leave nothing behind. */
async function said(
  change: (model: ModelCopy) => Promise<void>,
  name: Parameters<typeof ModelCopy.of>[0] = "pretraining",
): Promise<string> {
  const model = await ModelCopy.of(name, join(folder.path, `model-${++copies}`));
  await change(model);
  const out = join(folder.path, `out-${copies}`);
  const { code, err } = await model.import(out);
  expect(code).toBe(1);
  expect(existsSync(out)).toBe(false);
  return err;
}

describe("folders", () => {
  test("without files, or with others", async () => {
    expect(await said((model) => rm(model.folder, { recursive: true }))).toBe(
      "error: there is no folder FOLDER\n  hint: name the folder with config.json and model.safetensors",
    );
    expect(await said((model) => rm(model.path("config.json")))).toBe(
      "error: FOLDER has no config.json\n  hint: name a folder that `save_pretrained` of transformers wrote, or that was downloaded whole",
    );
    expect(
      await said((model) => rename(model.path("model.safetensors"), model.path("pytorch_model.bin"))),
    ).toBe(
      "error: FOLDER has no model.safetensors, only pytorch_model.bin\n  hint: save the model as safetensors: model.save_pretrained(folder, safe_serialization=True)",
    );
    expect(await said((model) => rm(model.path("vocab.txt")))).toBe(
      "error: the folder FOLDER has neither tokenizer.json nor vocab.txt\n  hint: name a vocab.txt, a tokenizer.json, or a folder with one of them",
    );
    expect(
      await said((model) => writeFile(model.path("vocab.txt"), Uint8Array.of(0xff, 0xfe, 0x0a))),
    ).toMatch(/^error: FOLDER\/vocab.txt is not UTF-8 text/);
  });

  test("whose vocabulary is larger than the embedding", async () => {
    expect(
      await said(async (model) => {
        const text = await readFile(model.path("vocab.txt"), "utf8");
        await writeFile(model.path("vocab.txt"), `${text}surplus\nmore\n`);
      }),
    ).toBe(
      "error: the vocabulary of FOLDER has 63 tokens, the token embedding of its model 61 rows\n  hint: take tokenizer and weights from the same model",
    );
  });
});

describe("config.json", () => {
  test("that is no JSON object", async () => {
    const text = (content: string | Uint8Array) =>
      said((model) => writeFile(model.path("config.json"), content));
    expect(await text("{")).toMatch(/^error: FOLDER\/config.json is not JSON/);
    expect(await text("[".repeat(1_000_000))).toMatch(/^error: FOLDER\/config.json is not JSON/);
    expect(await text("[1, 2]")).toBe("error: FOLDER/config.json is not a JSON object");
    expect(await text("null")).toBe("error: FOLDER/config.json is not a JSON object");
    expect(await text("")).toMatch(/is not JSON/);
    expect(await text(Uint8Array.of(0x7b, 0xff, 0x7d))).toBe("error: FOLDER/config.json is not UTF-8 text");
  });

  test("with numbers that make no sense: all are named, none is tried", async () => {
    const changes = {
      num_hidden_layers: 1e9,
      hidden_size: -16,
      vocab_size: "61",
      max_position_embeddings: 1e300,
      layer_norm_eps: "tiny",
      hidden_dropout_prob: 1,
      intermediate_size: null,
    };
    expect(await said((model) => model.config(changes))).toBe(
      [
        "error: FOLDER/config.json describes a model that Kiln cannot import: ",
        '  `vocab_size` is "61"; it must be a whole number from 1 to 16777216',
        "  `hidden_size` is -16; it must be a whole number from 1 to 16777216",
        "  `num_hidden_layers` is 1000000000; it must be a whole number from 1 to 512",
        "  `intermediate_size` is null; it must be a whole number from 1 to 16777216",
        "  `max_position_embeddings` is 1e+300; it must be a whole number from 1 to 16777216",
        '  `layer_norm_eps` is "tiny"; it must be a number from 0 to 1',
        "  `hidden_dropout_prob` is 1; it must be a number from 0 to 0.999",
        "  `hidden_size` (1) is no multiple of `num_attention_heads` (2)",
      ].join("\n"),
    );
  });

  test.each<[Readonly<Record<string, unknown>>, string]>([
    [{ model_type: "roberta" }, '`model_type` is "roberta"; "bert" is what Kiln imports'],
    [
      { architectures: ["BertLMHeadModel"] },
      '`architectures` is ["BertLMHeadModel"]; Kiln has BertModel, BertForPreTraining, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification',
    ],
    [
      { position_embedding_type: "relative_key" },
      '`position_embedding_type` is "relative_key"; Kiln has "absolute"',
    ],
    [{ is_decoder: true }, "`is_decoder` is true; Kiln has false"],
    [{ add_cross_attention: true }, "`add_cross_attention` is true; Kiln has false"],
    [
      { hidden_act: "quick_gelu" },
      '`hidden_act` is "quick_gelu"; Kiln has "gelu", "relu", "gelu_new", "gelu_pytorch_tanh", "silu", "swish", "tanh"',
    ],
    [{ type_vocab_size: 16 }, "`type_vocab_size` is 16; Kiln's encoder has 2 segments"],
    [
      { pruned_heads: { 0: [1] } },
      "`pruned_heads` names heads that were taken out; Kiln's layers all have the same number",
    ],
    [{ num_attention_heads: 3 }, "`hidden_size` (16) is no multiple of `num_attention_heads` (3)"],
    [{ tie_word_embeddings: "yes" }, '`tie_word_embeddings` is "yes"; Kiln has true, false'],
  ])("that Kiln cannot follow: %j", async (changes, message) => {
    expect(await said((model) => model.config(changes))).toBe(
      `error: FOLDER/config.json describes a model that Kiln cannot import: ${message}`,
    );
  });

  test.each<[Readonly<Record<string, unknown>>, string]>([
    [{ problem_type: "regression" }, '`problem_type` is "regression"; Kiln has single_label_classification'],
    [
      { id2label: { 0: "a", 2: "b" } },
      '`id2label` is {"0":"a","2":"b"}; it must name two classes or more, by the ids 0, 1, ...',
    ],
    [{ id2label: null, num_labels: 1 }, "`num_labels` is 1: no number of classes"],
    [{ id2label: ["a"] }, '`id2label` is ["a"]; it must name two classes or more, by the ids 0, 1, ...'],
  ])("of a classifier that Kiln cannot follow: %j", async (changes, message) => {
    expect(await said((model) => model.config(changes), "sequence-classification")).toBe(
      `error: FOLDER/config.json describes a model that Kiln cannot import: ${message}`,
    );
  });
});

describe("tensors", () => {
  test("that are missing, unknown, of another shape, no floats or not what they are tied to: all are named", async () => {
    const text = await said((model) =>
      model.tensors((tensors) => {
        tensors.delete("bert.pooler.dense.bias");
        tensors.delete("bert.encoder.layer.1.output.LayerNorm.weight");
        tensors.set(
          "bert.encoder.layer.2.output.dense.bias",
          floats([16], () => 0),
        );
        tensors.set(
          "constructor",
          floats([1], () => 0),
        );
        tensors.set(
          "bert.encoder.layer.0.intermediate.dense.weight",
          floats([16, 32], () => 0),
        );
        tensors.set("cls.seq_relationship.bias", { dtype: "I64", shape: [2], bytes: new Uint8Array(16) });
        tensors.set(
          "cls.predictions.decoder.weight",
          floats([61, 16], (at) => at),
        );
        tensors.set(
          "cls.predictions.decoder.bias",
          floats([60], () => 0),
        );
        tensors.set(
          "cls.predictions.surplus",
          floats([1], () => 0),
        );
      }),
    );
    expect(text).toBe(
      [
        "error: FOLDER/model.safetensors does not fit its config.json:",
        "  bert.encoder.layer.0.intermediate.dense.weight is [16, 32], by the config it is [32, 16]",
        "  bert.encoder.layer.1.output.LayerNorm.weight is missing",
        "  bert.pooler.dense.bias is missing",
        "  cls.seq_relationship.bias is I64; weights are F32, F16 or BF16",
        "  bert.encoder.layer.2.output.dense.bias is no tensor of a BertForPreTraining",
        "  constructor is no tensor of a BertForPreTraining",
        "  cls.predictions.surplus is no tensor of a BertForPreTraining",
        "  cls.predictions.decoder.weight should equal bert.embeddings.word_embeddings.weight, and does not",
        "  cls.predictions.decoder.bias is [60], by the config it is [61]",
        "  hint: take both files from the same model",
      ].join("\n"),
    );
  });

  test("of a config with other sizes", async () => {
    const text = await said((model) => model.config({ num_hidden_layers: 1, vocab_size: 62 }));
    expect(text).toContain(
      "bert.embeddings.word_embeddings.weight is [61, 16], by the config it is [62, 16]",
    );
    expect(text.match(/bert\.encoder\.layer\.1\.\S+ is no tensor of a BertForPreTraining/g)).toHaveLength(16);
  });

  test("under two spellings", async () => {
    const text = await said((model) =>
      model.tensors((tensors) =>
        tensors.set(
          "bert.embeddings.LayerNorm.gamma",
          floats([16], () => 1),
        ),
      ),
    );
    expect(text).toContain(
      "bert.embeddings.LayerNorm.weight and bert.embeddings.LayerNorm.gamma are names of one tensor",
    );
  });

  test("that are not finite", async () => {
    const text = await said((model) =>
      model.tensors((tensors) => {
        tensors.set(
          "bert.pooler.dense.bias",
          floats([16], (at) => (at === 15 ? Number.NaN : 0)),
        );
      }),
    );
    expect(text).toBe(
      "error: `bert.pooler.dense.bias` holds numbers that are not finite: its file is damaged, or its training went wrong\n  hint: copy the model again",
    );
  });

  test("of a file that was cut off, or that has something else in it", async () => {
    expect(await said((model) => truncate(model.path("model.safetensors"), 20_000))).toBe(
      "error: FOLDER/model.safetensors is cut off: it has 20000 of 30964 bytes\n  hint: copy it again, or use an earlier checkpoint",
    );
    expect(await said((model) => truncate(model.path("model.safetensors"), 100))).toMatch(
      /^error: FOLDER\/model.safetensors is cut off, or not a safetensors file: its header should take 4784 bytes, the file has 100/,
    );
    expect(
      await said((model) =>
        writeFile(model.path("model.safetensors"), "version https://git-lfs.github.com/spec/v1\n"),
      ),
    ).toMatch(/^error: FOLDER\/model.safetensors is not a whole safetensors file: its first 8 bytes/);
    expect(
      await said(async (model) => {
        await rm(model.path("model.safetensors"));
        await mkdir(model.path("model.safetensors"));
      }),
    ).toBe("error: FOLDER/model.safetensors is not a file");
  });
});

describe("shards", () => {
  const index = "model.safetensors.index.json";
  const first = "model-00001-of-00003.safetensors";
  const withIndex = (change: (map: Record<string, unknown>) => unknown) =>
    said(async (model) => {
      const { weight_map: map } = JSON.parse(await readFile(model.path(index), "utf8"));
      await writeFile(model.path(index), JSON.stringify({ weight_map: change(map) }));
    }, "masked-lm");

  test("that are not there", async () => {
    expect(await said((model) => rm(model.path(first)), "masked-lm")).toBe(
      `error: there is no file FOLDER/${first}`,
    );
  });

  test.each(["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "x.bin", 7, null])(
    "in another place: %j",
    async (file) => {
      expect(await withIndex((map) => ({ ...map, "bert.embeddings.LayerNorm.bias": file }))).toBe(
        `error: FOLDER/${index} puts \`bert.embeddings.LayerNorm.bias\` into ${JSON.stringify(file)}: a shard is a .safetensors file of the same folder`,
      );
    },
  );

  test("that do not hold what the index says", async () => {
    const text = await withIndex(({ "cls.predictions.bias": _, ...map }) => ({
      ...map,
      "bert.embeddings.LayerNorm.surplus": first,
    }));
    expect(text).toMatch(/has cls\.predictions\.bias, which the index does not put there/);
    expect(text).toContain(`${first} has no bert.embeddings.LayerNorm.surplus`);
    expect(await withIndex(() => [])).toBe(`error: FOLDER/${index} has no \`weight_map\``);
    expect(await said((model) => writeFile(model.path(index), "{"), "masked-lm")).toMatch(/is not JSON/);
  });
});

test("an output that is there already stays as it is", async () => {
  const model = await ModelCopy.of("pretraining", join(folder.path, "good"));
  const out = join(folder.path, "kept");
  await mkdir(out);
  await writeFile(join(out, "notes.txt"), "mine");
  const refused = await model.import(out);
  expect([refused.code, refused.err]).toEqual([
    1,
    `error: ${out} exists already\n  hint: give another folder with -o, or replace it with --force`,
  ]);
  expect(await readFile(join(out, "notes.txt"), "utf8")).toBe("mine");
});
