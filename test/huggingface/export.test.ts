import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile } from "../../compiler/index.ts";
import { saveCheckpoint } from "../../runtime/checkpoint/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { drawInitial } from "../../runtime/memory/index.ts";
import { diskLoader } from "../../tools/spec.ts";
import { importInto, modelFolder, temporaryFolder } from "../oracle/huggingface-fixture.ts";
import { need } from "../oracle/runs.ts";
import { run } from "../tools/capture.ts";

const folder = await temporaryFolder();
afterAll(folder.remove);

const words = [
  "<unk>",
  "<pad>",
  "<mask>",
  "<cls>",
  "<sep>",
  "bird",
  "sings",
  "'s",
  "@-@",
  "u.s.",
  ".",
  "the",
];

/** A spec's text with a checkpoint of its initial values, and what `export` says of them. */
async function exported(text: string, ...options: readonly string[]) {
  const name = `spec${(await readdir(folder.path)).length}`;
  const spec = join(folder.path, `${name}.bert`);
  await writeFile(spec, text);
  const { program, diagnostics } = compile(spec, { ...diskLoader, profile: softwareProfile, entries: [] });
  const { parameters, ...about } = need(program, JSON.stringify(diagnostics));
  const checkpoint = join(folder.path, `${name}.safetensors`);
  await saveCheckpoint(checkpoint, {
    step: 3,
    seed: 0,
    programName: about.name,
    programHash: about.hash,
    data: about.data,
    sources: about.sources,
    overrides: {},
    vocabulary: words,
    tensors: new Map(
      parameters.map(({ name: parameter, shape, init }) => [
        parameter,
        {
          dtype: "F32" as const,
          shape,
          read: async function* () {
            const count = shape.reduce((product, size) => product * size, 1);
            yield new Uint8Array(drawInitial(init, 0, parameter, 0, count).buffer);
          },
        },
      ]),
    ),
  });
  const out = join(folder.path, `${name}-exported`);
  const {
    code,
    err,
    out: told,
  } = await run("export", spec, "--checkpoint", checkpoint, "-o", out, ...options);
  return { code, err: err.replaceAll(spec, "SPEC").trimEnd(), told, out };
}

const specOf = (model: string, more = "") => `import "lib/bert.bert"
import "lib/data.bert"
${more}
model Mine = ${model}
train Mine {
  data      PretrainingPairs(batch: 2, max_len: 8, predictions: 2)
  minimize  mlm + nsp
  optimizer adam(lr: 1e-3)
  steps     1
}
`;
const sizes = "vocab: 12, hidden: 8, layers: 2, heads: 2, ffn: 12, max_len: 8, dropout: 0.1";
const original = `BertForPreTraining(${sizes}, activation: "gelu", eps: 1e-12, embedding_norm: true, tied: true)`;

/** `BertForPreTraining` of the library under another name, a change made to it and to the layers it is made of. */
function changedLibrary(change: (text: string) => string): string {
  const lib = (name: string) => readFileSync(`models/lib/${name}.bert`, "utf8").replace(/^import .*$/gm, "");
  return change(["math", "layers", "attention", "transformer", "losses", "bert"].map(lib).join("\n"));
}
const ownSpec = (change: (text: string) => string) =>
  specOf(original, changedLibrary(change)).replace('import "lib/bert.bert"\n', "");

describe("a model that is BERT", () => {
  test("of the library", async () => {
    const { code, told } = await exported(specOf(original));
    expect(code).toBe(0);
    expect(told).toMatch(
      /^BertForPreTraining: 1,446 parameters in 46 tensors, after step 3; its graph is the one of transformers' BERT$/m,
    );
  });

  test("with layers of its own, written in another way", async () => {
    const { code, err } = await exported(
      ownSpec((text) =>
        text
          .replaceAll("LayerNorm", "MyNorm")
          .replace(
            "let centered = x - mean(x, axis: -1)",
            "let middle = mean(x, axis: -1)\n    let centered = x - middle",
          )
          .replace("mean(centered * centered, axis: -1)", "mean(centered ** 2, axis: -1)")
          .replace(
            "fn relu(x: f32[...]) -> f32[...] = max(x, 0.0)",
            "fn relu(x: f32[...]) -> f32[...] = max(x, 0.0) + 0.0",
          ),
      ),
    );
    expect(err).toBe("");
    expect(code).toBe(0);
  });

  test("with another loss: what it is trained for is no part of what it computes", async () => {
    const { code, err } = await exported(
      ownSpec((text) =>
        text.replace(
          "loss mlm = MaskedLM(logits, labels, weights)",
          "loss mlm = 2.0 * MaskedLM(logits, labels, weights)",
        ),
      ),
    );
    expect(err).toBe("");
    expect(code).toBe(0);
  });

  test("whose decoder is not tied", async () => {
    const { code, out } = await exported(specOf(original.replace(", tied: true", "")));
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toMatchObject({
      architectures: ["BertForPreTraining"],
      tie_word_embeddings: false,
      hidden_act: "gelu",
      pad_token_id: 1,
      layer_norm_eps: 1e-12,
      hidden_dropout_prob: 0.1,
    });
  });
});

describe("a model that is not BERT is refused", () => {
  test.each<[string, string, string]>([
    [
      "the layout of the book, without a norm of the embeddings",
      specOf(`BertForPreTraining(${sizes})`),
      "error: SPEC describes no BERT that transformers has: \n  it has no `encoder.norm.gamma`\n  it has no `encoder.norm.beta`\n  hint: BERT normalises its embeddings: make the model with `embedding_norm: true`, and train it again",
    ],
    [
      "a norm with another eps than the argument says",
      ownSpec((text) =>
        text.replace(
          /use attention_norm += LayerNorm\(hidden, eps\)/,
          "use attention_norm = LayerNorm(hidden, 1e-6)",
        ),
      ),
      "error: SPEC computes another output `encoded` than a BertForPreTraining of transformers: it has `constant dtype=f32 value=0.000001` in `encoder.blocks.0.attention_norm` (SPEC:78:40), where BERT has `add` in `encoder.blocks.0.attention_norm` (LIB:39:29)\n  hint: the models of LIB with `embedding_norm: true` are exported; train the model anew if its layers must change",
    ],
    [
      "another activation than the argument says",
      ownSpec((text) =>
        text.replace(
          'if activation == "gelu" { return gelu(x) }',
          'if activation == "gelu" { return gelu_tanh(x) }',
        ),
      ),
      "error: SPEC computes another output `encoded` than a BertForPreTraining of transformers: it has `constant dtype=f32 value=0.044715` in `encoder.blocks.0.feed_forward` (SPEC:11:64), where BERT has `constant dtype=f32 value=1.4142135623730951` in `encoder.blocks.0.feed_forward` (LIB:6:61)\n  hint: the models of LIB with `embedding_norm: true` are exported; train the model anew if its layers must change",
    ],
    [
      "scores scaled otherwise",
      ownSpec((text) => text.replace("/ sqrt(D)", "/ D")),
      "error: SPEC computes another output `encoded` than a BertForPreTraining of transformers: it has `constant dtype=f32 value=0.25` in `encoder.blocks.0.attention` (SPEC:95:16), where BERT has `broadcast shape=[2, 2, 8, 8] axes=[]` in `encoder.blocks.0.attention` (LIB:8:16)\n  hint: the models of LIB with `embedding_norm: true` are exported; train the model anew if its layers must change",
    ],
    [
      "a parameter that BERT has not",
      ownSpec((text) =>
        text
          .replace(
            "use pooler        = Pooler(hidden, std)",
            "use pooler        = Pooler(hidden, std)\n  param surplus: f32[hidden] = zeros()",
          )
          .replace(
            "output encoded = encoded\n    head pooled",
            "output encoded = encoded + surplus\n    head pooled",
          ),
      ),
      "error: SPEC describes no BERT that transformers has: a BertForPreTraining has no `surplus`",
    ],
  ])("%s", async (_, text, message) => {
    const { code, err, out } = await exported(text);
    expect(code).toBe(1);
    expect(err.replace(/reference\.bert|lib\/[a-z]+\.bert/g, "LIB")).toBe(message);
    expect(existsSync(out)).toBe(false);
  });

  test("a GPT", async () => {
    const gpt = readFileSync("models/gpt-small.bert", "utf8");
    const { code, err } = await exported(gpt.replace("setting vocab: int = 512", "setting vocab: int = 12"));
    expect([code, err]).toEqual([
      1,
      "error: SPEC describes no BERT that transformers has: it has no `encoder` that is a BertEncoder of lib/bert.bert (encoder.token.weight, encoder.position.weight, encoder.blocks)",
    ]);
  });
});

describe("a vocabulary of words", () => {
  let out: string;
  beforeAll(async () => {
    ({ out } = await exported(specOf(original)));
  });

  test("has no vocab.txt, which BertTokenizer would misread", () => {
    expect(existsSync(join(out, "vocab.txt"))).toBe(false);
    expect(JSON.parse(readFileSync(join(out, "tokenizer_config.json"), "utf8"))).toEqual({
      tokenizer_class: "PreTrainedTokenizerFast",
      unk_token: "<unk>",
      pad_token: "<pad>",
      mask_token: "<mask>",
      cls_token: "<cls>",
      sep_token: "<sep>",
      model_max_length: 8,
    });
  });

  test("comes back", async () => {
    const { checkpoint } = await importInto(out, join(folder.path, "words-back"));
    expect(checkpoint.vocabulary).toEqual(words);
    expect(checkpoint.tokenizer).toEqual({ kind: "words" });
  });

  test("is refused where Kiln did not write it", async () => {
    const path = join(out, "tokenizer.json");
    const changed = { ...JSON.parse(readFileSync(path, "utf8")), pre_tokenizer: { type: "WhitespaceSplit" } };
    await writeFile(path, JSON.stringify(changed));
    const { code, err } = await run("import", out, "-o", join(folder.path, "foreign"));
    expect([code, err.replaceAll(out, "FOLDER")]).toEqual([
      1,
      "error: FOLDER/tokenizer.json is a vocabulary of words that Kiln did not write: its rules for splitting text are not Kiln's\n  hint: Kiln imports WordPiece, and the words that `export` wrote\n",
    ]);
  });
});

describe("places", () => {
  test("a folder that is there stays, with --force it is replaced, and nothing else is", async () => {
    const { spec, checkpoint } = await importInto(modelFolder("pretraining"), join(folder.path, "imported"));
    const out = join(folder.path, "place");
    const write = (...options: readonly string[]) =>
      run("export", spec, "--checkpoint", checkpoint.path, "-o", out, ...options);
    await mkdir(out);
    await writeFile(join(out, "mine.txt"), "mine");
    expect((await write()).err).toBe(
      `error: ${out} exists already\n  hint: give another folder with -o, or replace it with --force\n`,
    );
    expect((await write("--force")).err).toBe(
      `error: ${out} is no folder that has config.json: it is not replaced\n  hint: give another folder with -o, or remove it yourself\n`,
    );
    expect(await readdir(out)).toEqual(["mine.txt"]);
    await writeFile(join(out, "config.json"), "{}");
    expect((await write("--force")).code).toBe(0);
    expect(await readdir(out)).not.toContain("mine.txt");
    expect(await readdir(out)).toContain("model.safetensors");
    const beside = await readdir(folder.path);
    expect(beside.filter((name) => name.startsWith("place"))).toEqual(["place"]);
  });

  test("a spec that the checkpoint is not of", async () => {
    const { checkpoint } = await importInto(modelFolder("pretraining"), join(folder.path, "other"));
    const { code, err } = await run("export", "models/bert-tiny.bert", "--checkpoint", checkpoint.path);
    expect(code).toBe(1);
    expect(err).toContain("was trained from pretraining.bert, not from models/bert-tiny.bert");
  });
});
