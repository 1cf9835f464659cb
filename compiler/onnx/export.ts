import type { Diagnostic } from "../diagnostics/index.ts";
import type { TypedModel } from "../semantics/index.ts";
import { OnnxBuilder, type SizeSource } from "./build.ts";
import { noOutputs, sizeNotAnInput, unknownOutput } from "./errors.ts";
import { inputShapes } from "./live.ts";
import type { OnnxModel, OnnxValue } from "./model.ts";
import { type InputRole, type OnnxSignature, roleOf } from "./signature.ts";
import { constantOf, formatSize, type Size, variableOf } from "./size.ts";
import { fitSizes, type SizedInstruction } from "./sized.ts";
import { elementOf, type TranslatedInput, translate } from "./translate.ts";
import { type AnalyzeWith, sampleSizes } from "./vary.ts";

export interface OnnxRequest {
  /** Outputs and heads by name; default: all outputs. */
  readonly outputs: readonly string[] | undefined;
  readonly signature: OnnxSignature;
  /** Of the spec, for messages that have no place in it. */
  readonly file: string;
}

/** @param base the model as the spec says, which `analyze({})` gives */
export function toOnnx(analyze: AnalyzeWith, base: TypedModel, request: OnnxRequest): OnnxModel | Diagnostic {
  const { signature, file } = request;
  const known = [...base.outputs, ...base.heads].map((output) => output.name);
  const wanted = [...new Set(request.outputs ?? base.outputs.map((output) => output.name))];
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined) return unknownOutput(file, unknown, known);
  if (wanted.length === 0) return noOutputs(file);
  const sampled = sampleSizes(analyze, base, wanted, signature, file);
  if ("code" in sampled) return sampled;
  const sized = fitSizes(sampled);
  if ("code" in sized) return sized;
  const names = sampled.variables.map((variable) => variable.name);
  const [sample] = sampled.samples;
  const read = sample === undefined ? new Map<string, readonly number[]>() : inputShapes(sample);
  const declared = interfaceOf(sized.instructions, base, read, signature, names);
  const outputs = wanted.map((name, index): OnnxValue & { readonly value: number } => {
    const value = sized.results[index] ?? -1;
    const found = sized.instructions[value];
    return {
      name: signature.outputs[name] ?? name,
      element: found?.instruction.type.dtype === "i32" ? "int64" : "float",
      shape: (found?.shape ?? []).map((size) => constantOf(size) ?? formatSize(size, names)),
      value,
    };
  });
  const parameters = base.parameters.map(({ name, shape }) => ({ name, shape }));
  const b = new OnnxBuilder(
    names.map((_, v) => sourceOf(v, declared)),
    [...declared, ...outputs, ...parameters].map(({ name }) => name),
  );
  const inputs = feedInputs(b, sized.instructions, base, read, signature);
  const values: TranslatedInput[] = [];
  for (const [id, { instruction }] of sized.instructions.entries()) {
    const { path, label } = instruction.origin;
    const scope = ["", ...path.split("."), label].filter((part, i) => i === 0 || part !== "").join("/");
    values.push(b.within(scope, () => translate(b, sized.instructions, id, values, inputs)));
    const [lost] = b.missing;
    if (lost !== undefined)
      return sizeNotAnInput(instruction.origin.span, sampled.variables[lost]?.setting ?? "");
  }
  for (const { name, element, value } of outputs) {
    const from = values[value];
    if (from !== undefined) b.named(name, from.name, element, from.element);
  }
  const built = b.build(
    declared.map(({ sizes, ...input }) => input),
    outputs.map(({ value, ...output }) => output),
    parameters,
  );
  return { name: base.name, ...built, dynamic: sampled.variables, fixed: sampled.fixed };
}

interface DeclaredInput extends OnnxValue {
  readonly sizes: readonly Size[];
}

/** The inputs of the ONNX model; integers are int64, as everywhere in that world. */
function interfaceOf(
  instructions: readonly SizedInstruction[],
  base: TypedModel,
  read: ReadonlyMap<string, readonly number[]>,
  signature: OnnxSignature,
  names: readonly string[],
): readonly DeclaredInput[] {
  const shapes = shapesByInput(instructions);
  return base.inputs.flatMap(({ name, dtype }): DeclaredInput[] => {
    const role = roleOf(signature, base, name, read);
    const sizes = shapes.get(role?.kind === "count" ? role.like : name);
    if (sizes === undefined || role?.kind === "every") return [];
    const shape = sizes.map((size) => constantOf(size) ?? formatSize(size, names));
    return [{ name: role?.name ?? name, element: dtype === "f32" ? "float" : "int64", shape, sizes }];
  });
}

function shapesByInput(instructions: readonly SizedInstruction[]): ReadonlyMap<string, readonly Size[]> {
  return new Map(
    instructions.flatMap(({ instruction, shape }): [string, readonly Size[]][] =>
      instruction.op === "input" ? [[instruction.name, shape]] : [],
    ),
  );
}

function sourceOf(variable: number, inputs: readonly DeclaredInput[]): SizeSource | undefined {
  for (const { name, sizes } of inputs) {
    const axis = sizes.findIndex((size) => variableOf(size) === variable);
    if (axis >= 0) return { input: name, axis };
  }
  return undefined;
}

/** The spec's inputs as values, made of those of the ONNX model. */
function feedInputs(
  b: OnnxBuilder,
  instructions: readonly SizedInstruction[],
  base: TypedModel,
  read: ReadonlyMap<string, readonly number[]>,
  signature: OnnxSignature,
): ReadonlyMap<string, TranslatedInput> {
  return new Map(
    [...shapesByInput(instructions)].map(([name, shape]): [string, TranslatedInput] => {
      const role = roleOf(signature, base, name, read);
      const dtype = base.inputs.find((input) => input.name === name)?.dtype ?? "f32";
      const element = elementOf(dtype);
      const value = b.within(`/${name}`, () => feed(b, role, name, element, shape));
      return [name, { name: value, element, shape, ...(role?.kind === "every" && { every: true }) }];
    }),
  );
}

function feed(
  b: OnnxBuilder,
  role: InputRole | undefined,
  name: string,
  element: "float" | "int32" | "int64" | "bool",
  shape: readonly Size[],
): string {
  switch (role?.kind) {
    case "count":
      return b.node("ReduceSum", [b.cast(role.name, "int32"), b.integers([1])], {
        keepdims: { kind: "int", value: 0 },
      });
    case "every": {
      const end = b.node("Squeeze", [b.cast(b.size(shape[1] ?? []), "int32"), b.integers([0])]);
      const row = b.node("Range", [b.scalar("int32", 0), end, b.scalar("int32", 1)]);
      return b.node("Expand", [row, b.sizes(shape)]);
    }
    default: {
      const input = role?.name ?? name;
      return element === "int32" ? b.cast(input, "int32") : input;
    }
  }
}
