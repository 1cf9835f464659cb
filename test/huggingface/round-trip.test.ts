import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { format } from "../../compiler/syntax/index.ts";
import { loadCheckpoint, readTensorFile, writePlainTensorFile } from "../../runtime/checkpoint/index.ts";
import { parseConfig } from "../../runtime/huggingface/index.ts";
import { readFixtureTensor } from "../oracle/fixture.ts";
import {
  huggingFaceModels,
  importInto,
  modelFolder,
  temporaryFolder,
} from "../oracle/huggingface-fixture.ts";
import { need } from "../oracle/runs.ts";
import { run } from "../tools/capture.ts";
import { floats, type HeldTensor, heldTensors, ModelCopy, stored } from "./model-files.ts";

const folder = await temporaryFolder();
afterAll(folder.remove);

/** Imports a Hugging Face folder and exports what came of it. */
async function there(source: string, name: string) {
  const imported = await importInto(source, join(folder.path, `${name}-kiln`));
  const exported = join(folder.path, `${name}-exported`);
  const { code, err } = await run(
    "export",
    imported.spec,
    "--checkpoint",
    imported.checkpoint.path,
    "-o",
    exported,
  );
  expect(err).toBe("");
  expect(code).toBe(0);
  return { imported, exported };
}

/** Tensors of all shards of a folder, in f32, by name. */
async function numbersOf(
  path: string,
): Promise<Map<string, { readonly shape: readonly number[]; readonly data: Uint8Array }>> {
  const numbers = new Map<string, { shape: readonly number[]; data: Uint8Array }>();
  for (const file of readdirSync(path).filter((name) => name.endsWith(".safetensors"))) {
    for (const [name, tensor] of await heldTensors(join(path, file)))
      numbers.set(name, { shape: tensor.shape, data: asF32(tensor) });
  }
  return numbers;
}

/** Written apart from the product's conversion: by DataView, one number after another. */
function asF32({ dtype, bytes }: HeldTensor): Uint8Array {
  if (dtype === "F32") return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const halves = Array.from({ length: bytes.length / 2 }, (_, at) => view.getUint16(2 * at, true));
  if (dtype === "BF16") return new Uint8Array(Uint32Array.from(halves, (half) => half * 65_536).buffer);
  const value = (half: number): number => {
    const [sign, exponent, fraction] = [half >> 15, (half >> 10) & 31, half & 1023];
    return (
      (-1) ** sign *
      (exponent === 0 ? 2 ** -14 * (fraction / 1024) : 2 ** (exponent - 15) * (1 + fraction / 1024))
    );
  };
  return new Uint8Array(Float32Array.from(halves, value).buffer);
}

describe.each(huggingFaceModels)("%s", (name) => {
  test("comes back from Kiln bit for bit, and goes there again bit for bit", async () => {
    const { imported, exported } = await there(modelFolder(name), name);
    const back = await numbersOf(exported);
    const original = await numbersOf(modelFolder(name));
    if (name === "model") {
      // Kiln has given it heads, and today's names.
      for (const [tensor, numbers] of original) {
        const today = `bert.${tensor.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")}`;
        expect(back.get(today), today).toEqual(numbers);
      }
      expect(back.size).toBe(original.size + 7);
    } else expect(back).toEqual(original);

    const again = await importInto(exported, join(folder.path, `${name}-again`));
    expect([...again.checkpoint.tensors.keys()]).toEqual([...imported.checkpoint.tensors.keys()]);
    for (const [parameter, tensor] of imported.checkpoint.tensors) {
      const other = need(again.checkpoint.tensors.get(parameter), parameter);
      expect([other.dtype, other.shape]).toEqual(["F32", tensor.shape]);
      expect(await readFixtureTensor(other), parameter).toEqual(await readFixtureTensor(tensor));
    }
    expect(again.checkpoint.vocabulary).toEqual(imported.checkpoint.vocabulary);
    expect(again.checkpoint.tokenizer).toEqual(imported.checkpoint.tokenizer);

    const config = (path: string) =>
      parseConfig(readFileSync(join(path, "config.json"), "utf8"), path).config;
    const { architecture, ...rest } = config(modelFolder(name));
    expect(config(exported)).toEqual({
      ...rest,
      architecture: name === "model" ? "BertForPreTraining" : architecture,
    });
    expect(readFileSync(join(exported, "vocab.txt"), "utf8")).toBe(
      readFileSync(join(modelFolder(name), "vocab.txt"), "utf8"),
    );
  });
});

test("an exported file is, byte for byte, the one that the safetensors library writes", async () => {
  const { exported } = await there(modelFolder("pretraining"), "bytes");
  const bytes = (path: string) => readFileSync(join(path, "model.safetensors"));
  expect(bytes(exported).equals(bytes(modelFolder("pretraining")))).toBe(true);
  expect((await readTensorFile(join(exported, "model.safetensors"))).metadata).toEqual({ format: "pt" });
  expect(readdirSync(exported).sort()).toEqual([
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
  ]);
});

test("a spec of an import is formatted, and a checkpoint of it says what it is", async () => {
  const { checkpoint, spec } = await importInto(
    modelFolder("sequence-classification"),
    join(folder.path, "spec"),
  );
  const text = readFileSync(spec, "utf8");
  expect(format({ name: spec, text })).toEqual({ kind: "formatted", text });
  expect(text).toContain('label_names: "entailment,neutral,contradiction"');
  const { step, seed, tokenizer, programName } = await loadCheckpoint(checkpoint.path);
  expect({ step, seed, kind: tokenizer?.kind, programName }).toEqual({
    step: 0,
    seed: 0,
    kind: "wordpiece",
    programName: "Imported",
  });
});

test("a linear layer is turned, and the two outputs of the next-sentence head change places", async () => {
  const { checkpoint } = await importInto(modelFolder("pretraining"), join(folder.path, "layout"));
  const source = await heldTensors(join(modelFolder("pretraining"), "model.safetensors"));
  const theirs = (name: string) => new Float32Array(need(source.get(name), name).bytes.buffer);
  const ours = async (name: string) =>
    (await readFixtureTensor(need(checkpoint.tensors.get(name), name))).data;
  const inner = await ours("encoder.blocks.1.feed_forward.inner.weight"); // [16, 32]
  const dense = theirs("bert.encoder.layer.1.intermediate.dense.weight"); // [32, 16]
  for (let i = 0; i < 16; i++) for (let o = 0; o < 32; o++) expect(inner[i * 32 + o]).toBe(dense[o * 16 + i]);
  const next = await ours("next_sentence.classifier.weight"); // [16, 2]
  const relationship = theirs("cls.seq_relationship.weight"); // [2, 16]
  for (let i = 0; i < 16; i++) {
    expect(next[2 * i + 1]).toBe(relationship[i]);
    expect(next[2 * i]).toBe(relationship[16 + i]);
  }
  expect([...(await ours("next_sentence.classifier.bias"))]).toEqual(
    [...theirs("cls.seq_relationship.bias")].reverse(),
  );
});

test("names of classes that no list with commas can hold are left behind, and told", async () => {
  const model = await ModelCopy.of("sequence-classification", join(folder.path, "names"));
  await model.config({ id2label: { 0: "yes, it is", 1: "no", 2: "{maybe}" } });
  const { code, out } = await model.import(join(folder.path, "names-kiln"));
  expect(code).toBe(0);
  expect(out).toContain(
    "names of the classes with commas, or without letters, are left behind: yes, it is | no | {maybe}",
  );
  await model.config({ id2label: { 0: 'a "b"', 1: "no", 2: "{maybe}" } });
  const { exported } = await there(model.folder, "braces");
  expect(JSON.parse(readFileSync(join(exported, "config.json"), "utf8")).id2label).toEqual({
    0: 'a "b"',
    1: "no",
    2: "{maybe}",
  });
});

describe("heads", () => {
  test("of a BertModel start fresh, by the seed, and are told", async () => {
    const parameters = async (name: string, ...options: readonly string[]) => {
      const { checkpoint } = await importInto(modelFolder("model"), join(folder.path, name), ...options);
      const { data } = await readFixtureTensor(need(checkpoint.tensors.get("masked_lm.dense.weight"), name));
      return data;
    };
    const [zero, same, other] = [
      await parameters("s0"),
      await parameters("s00"),
      await parameters("s1", "--seed", "1"),
    ];
    expect(zero).toEqual(same);
    expect(zero).not.toEqual(other);
    const deviation = Math.sqrt(
      Array.from(zero, (value) => value ** 2).reduce((sum, square) => sum + square) / zero.length,
    );
    expect(deviation).toBeGreaterThan(0.01);
    expect(deviation).toBeLessThan(0.03);
    const { out } = await run("import", modelFolder("model"), "-o", join(folder.path, "told"));
    expect(out).toContain(
      "not in the folder, so they start with fresh values (seed 0): masked_lm.dense.weight, masked_lm.dense.bias, masked_lm.norm.gamma, masked_lm.norm.beta, masked_lm.bias, next_sentence.classifier.weight, next_sentence.classifier.bias\n",
    );
  });

  test("of a file that has more than its class are taken, as the original BERT's are", async () => {
    const model = await ModelCopy.of("pretraining", join(folder.path, "original"));
    await model.config({ architectures: ["BertForMaskedLM"] });
    const { out } = await model.import(join(folder.path, "original-kiln"));
    expect(out).toContain("a BertForMaskedLM there, a BertForPreTraining here: the file's heads decide\n");
  });

  test("that a class has not are left behind, and told", async () => {
    const model = await ModelCopy.of("pretraining", join(folder.path, "classifier"));
    await model.config({ architectures: ["BertForSequenceClassification"], num_labels: 2 });
    await model.tensors((tensors) => {
      tensors.set(
        "classifier.weight",
        floats([2, 16], (at) => at),
      );
      tensors.set(
        "classifier.bias",
        floats([2], (at) => at),
      );
    });
    const { code, out } = await model.import(join(folder.path, "classifier-kiln"));
    expect(code).toBe(0);
    expect(out).toMatch(
      /^left behind, as a BertForSequenceClassification has no such head: cls\.predictions\.bias, .*cls\.seq_relationship\.weight$/m,
    );
    expect(out).toMatch(/^BertForSequenceClassification: 6,178 parameters in 41 tensors, 61 tokens$/m);
  });
});

test("copies of tied tensors and positions that count from 0 are read over", async () => {
  const model = await ModelCopy.of("pretraining", join(folder.path, "copies"));
  await model.tensors((tensors) => {
    tensors.set(
      "cls.predictions.decoder.weight",
      need(tensors.get("bert.embeddings.word_embeddings.weight"), "words"),
    );
    tensors.set("cls.predictions.decoder.bias", need(tensors.get("cls.predictions.bias"), "bias"));
    tensors.set("bert.embeddings.position_ids", { dtype: "I64", shape: [1, 24], bytes: new Uint8Array(192) });
  });
  const { exported } = await there(model.folder, "copies");
  expect(await numbersOf(exported)).toEqual(await numbersOf(modelFolder("pretraining")));
});

test("a tensor may come in pieces of any length", async () => {
  const model = await ModelCopy.of("token-classification", join(folder.path, "pieces"));
  const path = model.path("model.safetensors");
  const tensors = await heldTensors(path);
  const inPieces = [...tensors].map(([name, tensor]) => {
    const { bytes } = tensor;
    const read = async function* () {
      for (let at = 0; at < bytes.length; at += 13) yield bytes.slice(at, at + 13);
    };
    return [name, { ...stored(tensor), read }] as const;
  });
  await writeFile(path, "");
  await writePlainTensorFile(path, new Map(inPieces), {});
  expect(await heldTensors(path)).toEqual(tensors);
});
