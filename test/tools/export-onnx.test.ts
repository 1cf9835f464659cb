import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession } from "onnxruntime-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { libraryText } from "../../models/index.ts";
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from "../../runtime/checkpoint/index.ts";
import { specialTokens } from "../../runtime/tokenizer/index.ts";
import { Console } from "../../tools/console.ts";
import { exportOnnxFolder } from "../../tools/onnx/export-onnx.ts";
import { drawParameters, modelAt, storedTensors } from "../onnx/run-onnx.ts";
import { run, TextSink } from "./capture.ts";

/* `export --format onnx`: what stands in the folder, and what is said where it cannot be written. */

const library = ["math", "layers", "attention", "transformer", "losses", "bert", "data"].map(
  (name) => `lib/${name}.bert`,
);
const words = Array.from({ length: 20 }, (_, i) => `word${i}`);

let folder = "";
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kiln-export-"));
  await checkpointOf("bert-tiny.bert", "PretrainingPairs");
  await checkpointOf("gpt-small.bert", "CausalText");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A checkpoint of a shipped spec with drawn parameters. */
async function checkpointOf(name: string, kind: string): Promise<void> {
  const text = readFileSync(join("models", name), "utf8");
  writeFileSync(at(name), text);
  const model = modelAt({ "spec.bert": text }, {});
  await saveCheckpoint(at(`${name}.safetensors`), {
    step: 7,
    seed: 0,
    programName: model.name,
    programHash: "",
    data: { kind, settings: model.data.settings },
    sources: [{ path: at(name), text }, ...library.map((path) => ({ path, text: libraryText(path) ?? "" }))],
    overrides: {},
    vocabulary: [...specialTokens, ...words],
    tensors: storedTensors(drawParameters(model)),
  });
}

const exported = (name: string, ...more: readonly string[]) =>
  run("export", at(name), "--checkpoint", at(`${name}.safetensors`), "--format", "onnx", ...more);

const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

describe("export --format onnx", () => {
  test("writes the encoder, its tokenizer and a config", async () => {
    const { code, out, err } = await exported("bert-tiny.bert", "-o", at("tiny"));
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out.replaceAll(folder, "")).toMatchInlineSnapshot(`
      "     name               type
      ───  ─────────────────  ──────────────────────────
      in   input_ids          int64[batch, sequence]
      in   token_type_ids     int64[batch, sequence]
      in   attention_mask     int64[batch, sequence]
      out  last_hidden_state  float[batch, sequence, 64]
      batch: 1 or more
      sequence: from 1 to 32
      wrote /tiny/onnx/model.onnx  413.6 KiB
      wrote /tiny/tokenizer.json  3.1 KiB
      wrote /tiny/tokenizer_config.json  199 B
      wrote /tiny/special_tokens_map.json  125 B
      wrote /tiny/config.json  157 B
      "
    `);
    expect(readdirSync(at("tiny"), { recursive: true }).sort()).toEqual([
      "config.json",
      "onnx",
      join("onnx", "model.onnx"),
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(json(at("tiny/config.json"))).toEqual({
      model_type: "bert",
      pad_token_id: specialTokens.indexOf("<pad>"),
      hidden_size: 64,
      max_position_embeddings: 32,
      "transformers.js_config": { dtype: "fp32" },
    });
    expect(json(at("tiny/tokenizer_config.json"))).toMatchObject({ model_max_length: 32 });
    const session = await InferenceSession.create(readFileSync(at("tiny/onnx/model.onnx")));
    expect([...session.inputNames].sort()).toEqual(["attention_mask", "input_ids", "token_type_ids"]);
    expect(session.outputNames).toEqual(["last_hidden_state"]);
    await session.release();
  });

  test("writes the heads that are asked for; the only logits are called so", async () => {
    const { json } = await exported(
      "bert-tiny.bert",
      "--outputs",
      "pooled, nsp_logits",
      "-o",
      at("heads"),
      "--json",
    );
    expect(json().outputs).toEqual([
      { name: "pooler_output", element: "float", shape: ["batch", 64] },
      { name: "logits", element: "float", shape: ["batch", 2] },
    ]);
  });

  test("a decoder has no config: nothing in the world runs it by name", async () => {
    const { code, json } = await exported("gpt-small.bert", "-o", at("gpt"), "--json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      inputs: [{ name: "input_ids", element: "int64", shape: ["batch", "sequence"] }],
      dynamic: [
        { setting: "batch", name: "batch", least: 1 },
        { setting: "max_len", name: "sequence", least: 1 },
      ],
    });
    expect(existsSync(at("gpt/config.json"))).toBe(false);
  });

  test("large parameters stand in a file of their own, and the config says so", async () => {
    const checkpoint: Checkpoint = await loadCheckpoint(at("bert-tiny.bert.safetensors"));
    const streams = { out: new TextSink(), err: new TextSink(), environment: {} };
    const { files } = await exportOnnxFolder(
      at("bert-tiny.bert"),
      checkpoint,
      { outputs: undefined, settings: {}, folder: at("large"), replace: false, externalFromBytes: 1000 },
      new Console(streams, false),
    );
    expect(files.map((file) => file.path)).toContain(join("onnx", "model.onnx_data"));
    expect(json(at("large/config.json"))).toMatchObject({
      "transformers.js_config": { use_external_data_format: { "model.onnx": 1 } },
    });
  });

  test("what is there is not replaced unless told to, and only by its like", async () => {
    const again = await exported("bert-tiny.bert", "-o", at("tiny"));
    expect([again.code, again.err]).toEqual([1, expect.stringContaining("exists already")]);
    expect((await exported("bert-tiny.bert", "-o", at("tiny"), "--force")).code).toBe(0);
    mkdirSync(at("other"));
    const other = await exported("bert-tiny.bert", "-o", at("other"), "--force");
    expect([other.code, other.err]).toEqual([1, expect.stringContaining("is no folder that has")]);
  });

  test("mistakes are told, and leave nothing behind", async () => {
    const before = readdirSync(folder).sort();
    const name = await exported("bert-tiny.bert", "--outputs", "mlm", "-o", at("wrong"));
    expect([name.code, name.err]).toEqual([
      1,
      expect.stringContaining("the model has no output or head `mlm`"),
    ]);
    const sizes = await exported("bert-tiny.bert", "--set", "hidden=32", "-o", at("wrong"));
    expect([sizes.code, sizes.err]).toEqual([
      1,
      expect.stringMatching(
        /the checkpoint has F32\[512, 64\] as `encoder.token.weight`, the model needs F32\[512, 32\]/,
      ),
    ]);
    const wrongSpec = await run(
      ...[
        "export",
        at("gpt-small.bert"),
        "--checkpoint",
        at("bert-tiny.bert.safetensors"),
        "--format",
        "onnx",
      ],
    );
    expect([wrongSpec.code, wrongSpec.err]).toEqual([1, expect.stringContaining("was trained from")]);
    const hf = await run(
      ...[
        "export",
        at("bert-tiny.bert"),
        "--checkpoint",
        at("bert-tiny.bert.safetensors"),
        "--outputs",
        "encoded",
      ],
    );
    expect([hf.code, hf.err]).toEqual([2, expect.stringContaining("--outputs is for --format onnx")]);
    expect(readdirSync(folder).sort()).toEqual(before);
  });
});
