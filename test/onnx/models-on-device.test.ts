import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { type Tensor, tensor } from "../../compiler/graph/index.ts";
import { compile, type DeviceProfile, type Program, renderDiagnostics } from "../../compiler/index.ts";
import { libraryText } from "../../models/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createExecutor, type InputFields } from "../../runtime/execute/index.ts";
import { worldSignature } from "../../tools/onnx/signature.ts";
import { difference, drawParameters, feedsFor, modelAt, onnxOf, openOnnx } from "./run-onnx.ts";

/* Exported models in ONNX Runtime, beside Kiln's own `encode` on the device, in batches and lengths other than the spec's. */

const shipped = (name: string): string => readFileSync(`models/${name}`, "utf8");

/** 32-bit sums in another order, through two layers. */
const tolerance = 1e-4;

interface Case {
  readonly name: string;
  readonly text: string;
  readonly dataKind: string;
  readonly outputs: readonly string[];
  readonly inputs: readonly string[];
  readonly results: readonly string[];
}

const heads = ["encoded", "pooled", "mlm_logits", "nsp_logits"];
const bertResults = ["last_hidden_state", "pooler_output", "mlm_logits", "nsp_logits"];
const bertInputs = ["input_ids", "token_type_ids", "attention_mask"];

const cases: readonly Case[] = [
  {
    name: "bert-tiny with all its heads",
    text: shipped("bert-tiny.bert"),
    dataKind: "PretrainingPairs",
    outputs: heads,
    inputs: bertInputs,
    results: bertResults,
  },
  {
    name: "a tied BERT with GELU and a norm of its embeddings",
    text: shipped("bert-tiny.bert").replace(
      "dropout: dropout)",
      'dropout: dropout, activation: "gelu", eps: 1e-12, embedding_norm: true, tied: true)',
    ),
    dataKind: "PretrainingPairs",
    outputs: heads,
    inputs: bertInputs,
    results: bertResults,
  },
  {
    name: "gpt-small",
    text: shipped("gpt-small.bert"),
    dataKind: "CausalText",
    outputs: ["encoded"],
    inputs: ["input_ids"],
    results: ["last_hidden_state"],
  },
];

const sizes = [
  { batch: 5, length: 32 },
  { batch: 2, length: 13 },
  { batch: 1, length: 1 },
];

function inputsOf(batch: number, length: number): ReadonlyMap<string, Tensor> {
  const each = (at: (row: number, column: number) => number): number[] =>
    Array.from({ length: batch * length }, (_, i) => at(Math.floor(i / length), i % length));
  const shape = [batch, length];
  const row = Array.from({ length: batch }, (_, i) => Math.max(1, length - 3 * i));
  return new Map([
    [
      "tokens",
      tensor(
        { dtype: "i32", shape },
        each((b, t) => (b * 131 + t * 37 + 5) % 512),
      ),
    ],
    [
      "segments",
      tensor(
        { dtype: "i32", shape },
        each((_, t) => Number(t > length / 2)),
      ),
    ],
    ["valid", tensor({ dtype: "i32", shape: [batch] }, row)],
    [
      "positions",
      tensor(
        { dtype: "i32", shape },
        each((_, t) => t),
      ),
    ],
  ]);
}

function compileFor(
  text: string,
  data: Readonly<Record<string, number>>,
  outputs: readonly string[],
  profile: DeviceProfile,
): Program {
  const { program, diagnostics, sources } = compile("spec.bert", {
    load: (path) => (path === "spec.bert" ? text : undefined),
    library: libraryText,
    profile,
    data,
    outputs,
    entries: ["encode"],
  });
  if (program === undefined) throw new Error(renderDiagnostics(diagnostics, sources));
  return program;
}

/** Kiln's outputs on the device, by the spec's names. */
async function encoded(
  program: Program,
  kiln: KilnDevice,
  inputs: ReadonlyMap<string, Tensor>,
  parameters: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor>> {
  const executor = await createExecutor(program, kiln, { entries: ["encode"] });
  try {
    for (const { name, buffer, offsetBytes } of program.parameters) {
      executor.memory.write(buffer, offsetBytes, Float32Array.from(parameters.get(name)?.data ?? []));
    }
    const fields: InputFields = Object.fromEntries(
      program.inputs.flatMap(({ name }) => {
        const value = inputs.get(name);
        return value === undefined ? [] : [[name, Int32Array.from(value.data)]];
      }),
    );
    const outputs = await executor.run("encode", fields);
    return new Map(
      Object.entries(outputs).map(([name, { shape, data }]) => [
        name.replace(/^(?:output|head)\./, ""),
        tensor({ dtype: "f32", shape }, [...data]),
      ]),
    );
  } finally {
    executor.destroy();
  }
}

describe("exported models", async () => {
  const kiln = await openDevice({ prefer: "software" });
  afterAll(() => kiln.close());

  describe.each(cases)("$name", async ({ text, dataKind, outputs, inputs: names, results }) => {
    const texts = { "spec.bert": text };
    const signature = worldSignature(dataKind, outputs);
    const onnx = onnxOf(texts, { outputs, signature });
    const parameters = drawParameters(modelAt(texts, {}));
    const session = await openOnnx(onnx, parameters);
    afterAll(() => session.close());

    test("has the world's inputs and outputs", () => {
      expect(onnx.inputs.map(({ name, element, shape }) => `${name} ${element} ${shape}`)).toEqual(
        names.map((name) => `${name} int64 batch,sequence`),
      );
      expect(onnx.outputs.map(({ name }) => name)).toEqual(results);
    });

    test.each(sizes)("agrees with Kiln: batch $batch, length $length", async ({ batch, length }) => {
      const data = { batch, max_len: length, ...(names.length > 1 && { predictions: length }) };
      const inputs = inputsOf(batch, length);
      const expected = await encoded(compileFor(text, data, outputs, kiln.profile), kiln, inputs, parameters);
      const found = await session.run(feedsFor(onnx, signature, inputs));
      expect([...expected.keys()].sort()).toEqual([...outputs].sort());
      for (const [index, name] of outputs.entries()) {
        expect(difference(found.get(results[index] ?? ""), expected.get(name)), name).toBeLessThan(tolerance);
      }
    });
  });
});
