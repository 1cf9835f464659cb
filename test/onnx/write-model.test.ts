import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ModelProtoSchema, TensorProto_DataLocation } from "../../tools/onnx/schema/onnx-ml.ts";
import { requireRoom, writeOnnxModel } from "../../tools/onnx/write-model.ts";
import { inForward } from "../semantics/check.ts";
import { drawParameters, modelAt, onnxOf, storedTensors } from "./run-onnx.ts";

const texts = {
  "spec.bert": inForward(
    "output y = use_all(x, w)",
    "fn use_all(x: f32[B, N], w: f32[N, M]) -> f32[B, M] = tanh(x @ w)",
  ),
};
const onnx = onnxOf(texts);
const parameters = storedTensors(drawParameters(modelAt(texts, {})));
const options = { externalFromBytes: 2 ** 30, metadata: { step: "7" }, producerVersion: "1.2.3" };

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-onnx-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("the file is what the protobuf library reads back, every value defined once and before it is used", async () => {
  const path = join(folder, "whole.onnx");
  const written = await writeOnnxModel(path, onnx, parameters, options);
  expect(written).toEqual([{ path, sizeBytes: statSync(path).size }]);
  const model = fromBinary(ModelProtoSchema, readFileSync(path));
  expect([model.irVersion, model.producerName, model.producerVersion]).toEqual([8n, "kiln", "1.2.3"]);
  expect(model.opsetImport.map(({ domain, version }) => `${domain} ${version}`)).toEqual([" 17"]);
  expect(model.metadataProps.map(({ key, value }) => `${key}=${value}`)).toEqual(["step=7"]);
  const { graph } = model;
  const defined = new Set<string>();
  const define = (name: string): void => {
    expect(defined.has(name), name).toBe(false);
    defined.add(name);
  };
  for (const { name } of [...(graph?.input ?? []), ...(graph?.initializer ?? [])]) define(name);
  for (const node of graph?.node ?? []) {
    for (const input of node.input) expect(defined.has(input), input).toBe(true);
    for (const output of node.output) define(output);
  }
  for (const { name } of graph?.output ?? []) expect(defined.has(name), name).toBe(true);
  expect(graph?.node.map((node) => node.opType)).toEqual(["MatMul", "Tanh", "Identity"]);
  const weight = graph?.initializer.find((tensor) => tensor.name === "w");
  const pieces: Uint8Array[] = [];
  for await (const piece of parameters.get("w")?.read() ?? []) pieces.push(piece);
  expect(weight?.dims).toEqual([6n, 5n]);
  expect(Buffer.from(weight?.rawData ?? []).equals(Buffer.concat(pieces))).toBe(true);
});

test("from a size on, parameters stand in a file beside it", async () => {
  const path = join(folder, "model.onnx");
  const written = await writeOnnxModel(path, onnx, parameters, { ...options, externalFromBytes: 120 });
  expect(written.map((file) => file.path)).toEqual([path, `${path}_data`]);
  const bytes = readFileSync(path);
  const data = readFileSync(`${path}_data`);
  expect(data.length).toBe(4096);
  const weight = fromBinary(ModelProtoSchema, bytes).graph?.initializer.find((tensor) => tensor.name === "w");
  expect(weight?.dataLocation).toBe(TensorProto_DataLocation.EXTERNAL);
  const inline = await InferenceSession.create(readFileSync(join(folder, "whole.onnx")));
  const external = await InferenceSession.create(bytes, {
    externalData: [{ path: "model.onnx_data", data: new Uint8Array(data) }],
  });
  const x = new OrtTensor(
    "float32",
    Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    [2, 6],
  );
  const [one, other] = [await inline.run({ x }), await external.run({ x })];
  expect(one.y?.dims).toEqual([2, 5]);
  expect(other.y?.data).toEqual(one.y?.data);
  await Promise.all([inline.release(), external.release()]);
});

test("parameters of another model are named", async () => {
  const path = join(folder, "other.onnx");
  await expect(writeOnnxModel(path, onnx, new Map(), options)).rejects.toMatchObject({
    kind: "user",
    message: "the checkpoint has no parameter `w`, the model needs F32[6, 5]",
  });
  const wider = new Map([
    ["w", { ...parameters.get("w"), dtype: "F32" as const, shape: [6, 4], read: async function* () {} }],
  ]);
  await expect(writeOnnxModel(path, onnx, wider, options)).rejects.toMatchObject({
    message: "the checkpoint has F32[6, 4] as `w`, the model needs F32[6, 5]",
  });
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
});

test("a disk without room is told before anything is written", async () => {
  await expect(requireRoom(folder, 2 ** 62)).rejects.toMatchObject({
    kind: "machine",
    message: expect.stringMatching(/^the model takes .*, .* has .* left$/),
    hint: "make room, or write to another disk with -o",
  });
});
