import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, renderDiagnostics } from "../../compiler/index.ts";
import type { Program } from "../../compiler/program/index.ts";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createExecutor, type Executor, type Outputs } from "../../runtime/execute/index.ts";
import { parseConfig } from "../../runtime/huggingface/index.ts";
import { carriedLoader, diskLoader, requireTextFile } from "../../tools/spec.ts";
import { relativeError } from "./comparison.ts";
import { type FixtureTensor, readFixtureTensor } from "./fixture.ts";
import {
  gradientInKiln,
  type HuggingFaceModel,
  huggingFaceModels,
  type Imported,
  importInto,
  modelFolder,
  pairsOf,
  type Reference,
  readReference,
  temporaryFolder,
} from "./huggingface-fixture.ts";
import { need } from "./runs.ts";

/**
 * Imported models on the software device against transformers. Float32 against float64 over two layers: JAX's own float32 is
 * within 1.4e-6 for tensors like these (README.md); another order of summation may take ten times that.
 */
const tolerance = 1e-4;
/** Making a program's pipelines takes the software device up to ten seconds, and much more beside other work. */
const timeout = 300_000;

let device: KilnDevice | undefined;
const folder = await temporaryFolder();
beforeAll(async () => {
  device = await openDevice({ prefer: "software" });
});
afterAll(async () => {
  device?.close();
  await folder.remove();
});

/** Sizes of the fixtures' batches, and no dropout, as the references have none. */
const settings: Readonly<Record<string, string>> = { batch: "4", max_len: "14", dropout: "0" };
const predictions = { predictions: "3" };

async function onDevice(
  program: Program,
  checkpoint: Checkpoint,
  entries: readonly (keyof Program["entries"])[],
) {
  const executor = await createExecutor(program, need(device, "device"), { entries });
  for (const { name, buffer, offsetBytes } of program.parameters) {
    const { data } = await readFixtureTensor(need(checkpoint.tensors.get(name), name));
    executor.memory.write(buffer, offsetBytes, data);
  }
  return executor;
}

async function readMemory(
  executor: Executor,
  program: Program,
  name: string,
  slot: string,
): Promise<Float32Array> {
  const place = need(
    program.parameters.find((parameter) => parameter.name === name),
    name,
  );
  const bytes = new Uint8Array(4 * place.shape.reduce((count, size) => count * size, 1));
  let at = 0;
  for await (const piece of executor.memory.read(
    need(place.slots[slot], slot),
    place.offsetBytes,
    bytes.length,
  )) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return new Float32Array(bytes.buffer);
}

function errorOf(outputs: Outputs, name: string, expected: FixtureTensor): number {
  const { shape, data } = need(outputs[name], name);
  expect(shape).toEqual(expected.shape);
  return relativeError(Float32Array.from(data), expected.data);
}

describe.each(huggingFaceModels.filter((name) => name !== "model"))("%s, imported", (name) => {
  let imported: Imported;
  let reference: Reference;
  let program: Program;
  let executor: Executor;
  let evaluated: Outputs;
  let encoded: Outputs;
  beforeAll(async () => {
    reference = await readReference(name);
    imported = await importInto(modelFolder(name), join(folder.path, name));
    const hasMaskedLm = reference.batch.positions !== undefined;
    const { root, loader } = { root: `${name}.bert`, loader: carriedLoader(imported.checkpoint.sources) };
    const result = compile(root, {
      ...loader,
      settings: { ...settings, ...(hasMaskedLm && predictions) },
      profile: need(device, "device").profile,
      verify: true,
    });
    program = need(result.program, renderDiagnostics(result.diagnostics, result.sources));
    executor = await onDevice(program, imported.checkpoint, ["train", "evaluate", "encode"]);
    encoded = await executor.run("encode", reference.batch);
    evaluated = await executor.run("evaluate", reference.batch);
  }, timeout);
  afterAll(() => executor?.destroy());

  test("outputs", () => {
    for (const output of ["encoded", "logits"]) {
      const expected = reference.outputs.get(output);
      if (expected !== undefined)
        expect(errorOf(encoded, `output.${output}`, expected)).toBeLessThan(tolerance);
    }
    expect(Object.keys(encoded).length).toBe(reference.outputs.has("logits") ? 2 : 1);
  });

  test("losses", () => {
    const errors = Object.entries(reference.losses).map(([loss, expected]) => {
      const value = need(evaluated[`loss.${loss}`]?.data[0], loss);
      return Math.abs(value - expected) / expected;
    });
    expect(errors.length).toBeGreaterThan(0);
    expect(Math.max(...errors)).toBeLessThan(tolerance);
  });

  test("every gradient", async () => {
    const outputs = await executor.run("train", reference.batch);
    // The first moment after one step is (1 - beta1) times the gradient, clipped to the norm 1.
    const scale = (1 - 0.9) * Math.min(1, 1 / need(outputs.grad_norm?.data[0], "grad_norm"));
    const { config } = parseConfig(requireTextFile(join(modelFolder(name), "config.json")), "config.json");
    const pairs = pairsOf(config);
    const expected = new Map<string, Float32Array>();
    for (const [tensor, gradient] of reference.gradients) {
      const pair = need(pairs.get(tensor), tensor);
      expected.set(pair.kiln, await gradientInKiln(gradient, pair));
    }
    expect([...expected.keys()].sort()).toEqual(program.parameters.map((parameter) => parameter.name).sort());
    // A gradient that is zero in exact arithmetic has no magnitude of its own: a key's bias, which softmax does not see.
    const sizes = new Map([...expected].map(([parameter, values]) => [parameter, largest(values)]));
    const most = Math.max(...sizes.values());
    const floorOf = (parameter: string) =>
      need(sizes.get(parameter), parameter) < 1e-12 * most ? 1e-2 * most : 0;
    const zeros = [...sizes.keys()].filter((parameter) => floorOf(parameter) > 0);
    expect(zeros).toEqual(zeros.filter((parameter) => parameter.endsWith("attention.key.bias")));
    const errors: { readonly parameter: string; readonly error: number }[] = [];
    for (const [parameter, values] of expected) {
      const moment = await readMemory(executor, program, parameter, "adam.m");
      errors.push({
        parameter,
        error: relativeError(
          moment.map((value) => value / scale),
          values,
          floorOf(parameter),
        ),
      });
    }
    expect(errors.filter(({ error }) => !(error < tolerance))).toEqual([]);
  });
});

function largest(values: Float32Array): number {
  return values.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
}

/** The same parameters, with what the heads make of the vectors as outputs. */
const heads = `import "lib/bert.bert"
import "lib/data.bert"
model WithHeads(vocab: dim, hidden: dim) {
  use encoder = BertEncoder(vocab, hidden, 2, 2, 32, 24, 0.0, "gelu", 1e-12, true)
  use masked_lm = TiedMaskedLMHead(vocab, hidden, "gelu", 1e-12)
  use pooler = Pooler(hidden)
  use next_sentence = NextSentenceHead(hidden)
  forward(tokens: i32[B, T], segments: i32[B, T], valid: i32[B], positions: i32[B, P]) {
    let encoded = encoder(tokens, segments, valid)
    output encoded = encoded
    output pooled = pooler(encoded)
    output mlm_logits = masked_lm(encoded, positions, encoder.token.weight)
    output nsp_logits = next_sentence(pooler(encoded))
    loss nothing = mean(encoded)
  }
}
model Heads = WithHeads(vocab: 61, hidden: 16)
train Heads {
  data      PretrainingPairs(batch: 4, max_len: 14, predictions: 3)
  minimize  nothing
  optimizer sgd(lr: 0.1)
  steps     1
}`;

test.each<[HuggingFaceModel, readonly string[]]>([
  ["pretraining", ["encoded", "mlm_logits", "nsp_logits"]],
  ["model", ["encoded", "pooled"]],
])(
  "heads of %s",
  async (name, outputs) => {
    const { checkpoint } = await importInto(modelFolder(name), join(folder.path, `${name}-heads`));
    const result = compile("heads.bert", {
      load: (path) => (path === "heads.bert" ? heads : undefined),
      library: diskLoader.library,
      profile: need(device, "device").profile,
      entries: ["encode"],
    });
    const program = need(result.program, renderDiagnostics(result.diagnostics, result.sources));
    const executor = await onDevice(program, checkpoint, ["encode"]);
    try {
      const reference = await readReference(name);
      const found = await executor.run("encode", reference.batch);
      for (const output of outputs) {
        const { shape, data } = need(reference.outputs.get(output), output);
        // Class 0 of transformers is "follows", here it is 1.
        const pairsSwapped = data.map((_: number, at: number) => data[at ^ 1] ?? Number.NaN);
        const expected = output === "nsp_logits" ? { shape, data: pairsSwapped } : { shape, data };
        expect(errorOf(found, `output.${output}`, expected), output).toBeLessThan(tolerance);
      }
    } finally {
      executor.destroy();
    }
  },
  timeout,
);
