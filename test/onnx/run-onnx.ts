import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { evaluate, type Tensor, tensor } from "../../compiler/graph/index.ts";
import { exportOnnx, type OnnxOptions } from "../../compiler/index.ts";
import type { OnnxModel, OnnxSignature } from "../../compiler/onnx/index.ts";
import { analyze, type TypedModel } from "../../compiler/semantics/index.ts";
import { libraryText } from "../../models/index.ts";
import type { StoredTensor } from "../../runtime/checkpoint/index.ts";
import { writeOnnxModel } from "../../tools/onnx/write-model.ts";

env.wasm.numThreads = 1;
// The runtime's hints about what it could fuse are no part of a test.
env.logLevel = "error";

export type Sizes = Readonly<Record<string, number>>;

/** A spec by path, `spec.bert` the root; with the shipped library. */
export interface Texts {
  readonly [path: string]: string;
}

const loaderOf = (texts: Texts): OnnxOptions => ({
  load: (path) => (Object.hasOwn(texts, path) ? texts[path] : undefined),
  library: libraryText,
});

export function onnxOf(texts: Texts, options: Partial<OnnxOptions> = {}): OnnxModel {
  const result = exportOnnx("spec.bert", { ...loaderOf(texts), ...options });
  if (result.onnx === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return result.onnx;
}

/** What is said of a spec that cannot be exported. */
export function refusalOf(texts: Texts, options: Partial<OnnxOptions> = {}): string {
  const { onnx, diagnostics, sources } = exportOnnx("spec.bert", { ...loaderOf(texts), ...options });
  if (onnx !== undefined) throw new Error("it was exported");
  return renderDiagnostics(diagnostics, sources);
}

/** The model analysed for some sizes of its data. */
export function modelAt(
  texts: Texts,
  sizes: Sizes,
  settings: Readonly<Record<string, string>> = {},
): TypedModel {
  const data = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, String(size)]));
  const { load, library } = loaderOf(texts);
  const result = analyze("spec.bert", { loadFile: load, ...(library && { library }), settings, data });
  if (result.model === undefined) throw new Error(renderDiagnostics(result.diagnostics, result.sources));
  return result.model;
}

/** Numbers between -1 and 1 that depend on nothing but the seed and the index. */
export function drawn(count: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
}

export function drawParameters(
  model: Pick<TypedModel, "parameters">,
  scale = 0.3,
): ReadonlyMap<string, Tensor> {
  return new Map(
    model.parameters.map(({ name, shape }, index) => {
      const count = shape.reduce((n, size) => n * size, 1);
      // Gains around 1, as after training.
      const shift = /(?:gamma|gain)$/.test(name) ? 1 : 0;
      const values = drawn(count, index + 1).map((value) => value * scale + shift);
      return [name, tensor({ dtype: "f32", shape }, [...values])];
    }),
  );
}

/** Outputs and heads by the float64 reference. */
export function reference(
  model: TypedModel,
  inputs: ReadonlyMap<string, Tensor>,
  parameters: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> {
  const { graph } = elaborate(model, "evaluate");
  const { outputs } = evaluate(graph, { inputs, parameters, randomKey: (stream) => stream });
  return new Map([...outputs].map(([name, value]) => [name.replace(/^(?:output|head)\./, ""), value]));
}

export function storedTensors(parameters: ReadonlyMap<string, Tensor>): ReadonlyMap<string, StoredTensor> {
  return new Map(
    [...parameters].map(([name, { shape, data }]) => {
      const bytes = new Uint8Array(Float32Array.from(data).buffer);
      const stored: StoredTensor = {
        dtype: "F32",
        shape,
        // In two pieces, as large tensors come.
        read: async function* () {
          yield bytes.slice(0, 4);
          yield bytes.slice(4);
        },
      };
      return [name, stored];
    }),
  );
}

export interface OnnxRun {
  readonly model: OnnxModel;
  /** The file's bytes. */
  readonly bytes: Uint8Array;
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Tensor>>;
  close(): Promise<void>;
}

/** Writes the model as a file and opens it in ONNX Runtime, which checks types, shapes and order of the graph. */
export async function openOnnx(model: OnnxModel, parameters: ReadonlyMap<string, Tensor>): Promise<OnnxRun> {
  const folder = mkdtempSync(join(tmpdir(), "kiln-onnx-"));
  let bytes: Uint8Array;
  try {
    const path = join(folder, "model.onnx");
    await writeOnnxModel(path, model, storedTensors(parameters), {
      externalFromBytes: Number.POSITIVE_INFINITY,
      metadata: {},
      producerVersion: "test",
    });
    bytes = readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const session = await InferenceSession.create(bytes);
  return {
    model,
    bytes,
    async run(feeds) {
      const given = [...feeds].map(([name, { dtype, shape, data }]): [string, OrtTensor] => [
        name,
        dtype === "f32"
          ? new OrtTensor("float32", Float32Array.from(data), [...shape])
          : new OrtTensor("int64", BigInt64Array.from([...data].map(BigInt)), [...shape]),
      ]);
      const results = await session.run(Object.fromEntries(given));
      return new Map(
        Object.entries(results).map(([name, { type, dims, data }]) => [
          name,
          tensor(
            { dtype: type === "float32" ? "f32" : "i32", shape: dims },
            Array.from({ length: data.length }, (_, i) => Number(data[i])),
          ),
        ]),
      );
    },
    close: () => session.release(),
  };
}

/** The largest difference, relative to the largest expected number; not a number where shapes differ. */
export function difference(found: Tensor | undefined, expected: Tensor | undefined): number {
  if (found === undefined || expected?.shape.join() !== found.shape.join()) return Number.NaN;
  let [most, largest] = [0, 0];
  for (const [i, value] of expected.data.entries()) {
    const error = Math.abs(value - (found.data[i] ?? Number.NaN));
    if (!(error <= most)) most = error;
    largest = Math.max(largest, Math.abs(value));
  }
  return most === 0 ? 0 : most / Math.max(largest, 1e-30);
}

/** What the world gives the exported model, from what the spec's model is given. */
export function feedsFor(
  model: OnnxModel,
  signature: OnnxSignature,
  inputs: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> {
  const feeds = new Map<string, Tensor>();
  for (const [name, value] of inputs) {
    const role = signature.inputs[name];
    if (role?.kind === "every") continue;
    if (role?.kind === "count") {
      const shape = inputs.get(role.like)?.shape ?? [];
      const [rows = 0, columns = 0] = shape;
      const mask = Array.from({ length: rows * columns }, (_, i) =>
        Number(i % columns < (value.data[Math.floor(i / columns)] ?? 0)),
      );
      feeds.set(role.name, tensor({ dtype: "i32", shape }, mask));
    } else feeds.set(role?.name ?? name, value);
  }
  return new Map([...feeds].filter(([name]) => model.inputs.some((input) => input.name === name)));
}
