import type { FileHandle } from "node:fs/promises";
import { open, statfs } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { formatBytes } from "../../compiler/diagnostics/index.ts";
import {
  type OnnxAttribute,
  type OnnxElement,
  type OnnxModel,
  type OnnxParameter,
  type OnnxValue,
  onnxIrVersion,
  onnxOpset,
} from "../../compiler/onnx/index.ts";
import type { StoredTensor } from "../../runtime/checkpoint/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from "./schema/onnx-ml.ts";

export interface OnnxFileOptions {
  /** Bytes of parameters from which on they go into a file of their own, `<path>_data`. A protobuf file ends at 2 GiB. */
  readonly externalFromBytes: number;
  /** Kept in the file as texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly producerVersion: string;
}

export interface WrittenFile {
  readonly path: string;
  readonly sizeBytes: number;
}

export const defaultExternalFromBytes = 2 ** 30;

/** Where a tensor begins in an external file: pages can then be mapped. */
const externalAlignment = 4096;

/**
 * Writes a model with its parameters, which are read and written in pieces: none lies in memory whole.
 *
 * A message of protobuf is its fields one after the other, in any order, so what is small is encoded by the library, and the
 * parameters' bytes follow behind their lengths.
 * @param parameters by name; all that the model has, f32
 * @throws KilnError `user` for parameters that are missing or of another shape; `machine` where the disk has no room
 */
export async function writeOnnxModel(
  path: string,
  model: OnnxModel,
  parameters: ReadonlyMap<string, StoredTensor>,
  options: OnnxFileOptions,
): Promise<readonly WrittenFile[]> {
  const stored = model.parameters.map((parameter) => storedParameter(parameter, parameters));
  const totalBytes = model.parameters.reduce((n, parameter) => n + bytesOf(parameter), 0);
  await requireRoom(dirname(path), totalBytes);
  const external = totalBytes >= options.externalFromBytes;
  const dataPath = `${path}_data`;
  const heads: { readonly start: Uint8Array; readonly bytes: number }[] = [];
  let offset = 0;
  for (const parameter of model.parameters) {
    const bytes = bytesOf(parameter);
    heads.push(
      external
        ? externalTensor(parameter, basename(dataPath), offset, bytes)
        : inlineTensor(parameter, bytes),
    );
    offset += Math.ceil(bytes / externalAlignment) * externalAlignment;
  }
  const graph = graphWithoutParameters(model);
  const graphBytes = heads.reduce((n, head) => n + head.bytes, graph.length);
  const beginning = concatenated([
    toBinary(ModelProtoSchema, modelWithoutGraph(options)),
    fieldStart(ModelProtoSchema.field.graph.number, graphBytes),
    graph,
  ]);
  const written: WrittenFile[] = [];
  written.push(
    await writeFile(path, async (file) => {
      await file(beginning);
      for (const [index, { start }] of heads.entries()) {
        await file(start);
        if (!external) await copy(stored[index], file);
      }
    }),
  );
  if (!external) return written;
  written.push(
    await writeFile(dataPath, async (file) => {
      for (const [index, parameter] of model.parameters.entries()) {
        await copy(stored[index], file);
        await file(new Uint8Array(-bytesOf(parameter) & (externalAlignment - 1)));
      }
    }),
  );
  return written;
}

type Write = (bytes: Uint8Array) => Promise<void>;

async function writeFile(path: string, body: (write: Write) => Promise<void>): Promise<WrittenFile> {
  const file = await open(path, "wx");
  try {
    await body((bytes) => writeAll(file, bytes));
    await file.sync();
    return { path, sizeBytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at);
    at += bytesWritten;
  }
}

async function copy(tensor: StoredTensor | undefined, write: Write): Promise<void> {
  for await (const piece of tensor?.read() ?? []) await write(piece);
}

/** @throws KilnError `machine` where the disk of the folder has fewer bytes left */
export async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new KilnError(
    "machine",
    `the model takes ${formatBytes(bytes)}, ${folder} has ${formatBytes(free)} left`,
    "make room, or write to another disk with -o",
  );
}

function storedParameter(
  { name, shape }: OnnxParameter,
  parameters: ReadonlyMap<string, StoredTensor>,
): StoredTensor {
  const tensor = parameters.get(name);
  const found =
    tensor === undefined ? "has no parameter" : `has ${tensor.dtype}[${tensor.shape.join(", ")}] as`;
  if (tensor?.dtype === "F32" && tensor.shape.join() === shape.join()) return tensor;
  throw new KilnError(
    "user",
    `the checkpoint ${found} \`${name}\`, the model needs F32[${shape.join(", ")}]`,
    "give the spec and the --set values that it was trained with",
  );
}

const bytesOf = ({ shape }: OnnxParameter): number => shape.reduce((n, size) => n * size, 4);

/** Tag and length of a field that is a message or bytes. */
function fieldStart(number: number, bytes: number): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(bytes).finish();
}

function inlineTensor(parameter: OnnxParameter, bytes: number): { start: Uint8Array; bytes: number } {
  const head = toBinary(TensorProtoSchema, create(TensorProtoSchema, tensorOf(parameter)));
  const data = fieldStart(TensorProtoSchema.field.rawData.number, bytes);
  const message = head.length + data.length + bytes;
  const start = concatenated([fieldStart(GraphProtoSchema.field.initializer.number, message), head, data]);
  return { start, bytes: start.length + bytes };
}

function externalTensor(
  parameter: OnnxParameter,
  location: string,
  offset: number,
  length: number,
): { start: Uint8Array; bytes: number } {
  const entries = { location, offset: String(offset), length: String(length) };
  const tensor = create(TensorProtoSchema, {
    ...tensorOf(parameter),
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
  const message = toBinary(TensorProtoSchema, tensor);
  const start = concatenated([
    fieldStart(GraphProtoSchema.field.initializer.number, message.length),
    message,
  ]);
  return { start, bytes: start.length };
}

function tensorOf({ name, shape }: OnnxParameter) {
  return { name, dataType: TensorProto_DataType.FLOAT, dims: shape.map(BigInt) };
}

function modelWithoutGraph({ metadata, producerVersion }: OnnxFileOptions) {
  return create(ModelProtoSchema, {
    irVersion: BigInt(onnxIrVersion),
    opsetImport: [{ domain: "", version: BigInt(onnxOpset) }],
    producerName: "kiln",
    producerVersion,
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
}

function graphWithoutParameters(model: OnnxModel): Uint8Array {
  const graph = create(GraphProtoSchema, {
    name: model.name,
    node: model.nodes.map(({ op, name, inputs, outputs, attributes }) => ({
      opType: op,
      name,
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attributes).map(([key, attribute]) => attributeProto(key, attribute)),
    })),
    initializer: model.constants.map(({ name, element, shape, values }) => ({
      name,
      dataType: dataTypes[element],
      dims: shape.map(BigInt),
      rawData: rawBytes(element, values),
    })),
    input: model.inputs.map(valueInfo),
    output: model.outputs.map(valueInfo),
  });
  return toBinary(GraphProtoSchema, graph);
}

function attributeProto(name: string, attribute: OnnxAttribute) {
  switch (attribute.kind) {
    case "int":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeProto_AttributeType.INT,
        i: BigInt(attribute.value),
      });
    case "ints":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeProto_AttributeType.INTS,
        ints: attribute.value.map(BigInt),
      });
    case "float":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeProto_AttributeType.FLOAT,
        f: attribute.value,
      });
    case "string":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeProto_AttributeType.STRING,
        s: new TextEncoder().encode(attribute.value),
      });
    case "tensor":
      return create(AttributeProtoSchema, {
        name,
        type: AttributeProto_AttributeType.TENSOR,
        t: create(TensorProtoSchema, {
          dataType: dataTypes[attribute.element],
          dims: [1n],
          rawData: rawBytes(attribute.element, [attribute.value]),
        }),
      });
    default:
      return attribute satisfies never;
  }
}

function valueInfo({ name, element, shape }: OnnxValue) {
  const dim = shape.map((size) => ({
    value:
      typeof size === "number"
        ? ({ case: "dimValue", value: BigInt(size) } as const)
        : ({ case: "dimParam", value: size } as const),
  }));
  const tensor = { elemType: dataTypes[element], shape: { dim } };
  return { name, type: { value: { case: "tensorType" as const, value: tensor } } };
}

const dataTypes: Readonly<Record<OnnxElement, TensorProto_DataType>> = {
  float: TensorProto_DataType.FLOAT,
  int32: TensorProto_DataType.INT32,
  int64: TensorProto_DataType.INT64,
  bool: TensorProto_DataType.BOOL,
};

/** Little-endian, as ONNX has it. */
function rawBytes(element: OnnxElement, values: readonly number[]): Uint8Array<ArrayBuffer> {
  const width = { float: 4, int32: 4, int64: 8, bool: 1 }[element];
  const view = new DataView(new ArrayBuffer(width * values.length));
  for (const [index, value] of values.entries()) {
    const at = index * width;
    if (element === "float") view.setFloat32(at, value, true);
    else if (element === "int32") view.setInt32(at, value, true);
    else if (element === "int64") view.setBigInt64(at, BigInt(value), true);
    else view.setUint8(at, value);
  }
  return new Uint8Array(view.buffer);
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
