import type { Span } from "../diagnostics/index.ts";
import type { ResultKind } from "../syntax/index.ts";
import type { Analysis, Env, ModelResults } from "./analysis.ts";
import { runBody } from "./bodies.ts";
import type { ReadData } from "./data.ts";
import {
  inputNotTensor,
  lossType,
  missingField,
  modelReturns,
  modelWithoutForward,
  noLosses,
  outputType,
  resultTwice,
} from "./errors.ts";
import type { NamedValue, TypedInput } from "./model.ts";
import { Scope } from "./scope.ts";
import { bindParameters, type Given } from "./signature.ts";
import { errorValue, type Instance, type Value } from "./value.ts";

export interface RanModel {
  readonly inputs: readonly TypedInput[];
  readonly outputs: readonly NamedValue[];
  readonly heads: readonly NamedValue[];
  readonly losses: readonly NamedValue[];
  readonly metrics: readonly NamedValue[];
  readonly lossValues: ReadonlyMap<string, { readonly value: Value; readonly span: Span }>;
}

/** Runs the model's forward on the fields of the data. */
export function runModel(a: Analysis, instance: Instance, data: ReadData): RanModel | undefined {
  const { forward, declaration } = instance;
  if (forward === undefined) {
    if (!a.stopped) a.report(modelWithoutForward(declaration));
    return undefined;
  }
  const inputs: TypedInput[] = [];
  const given: Given[] = [];
  let ok = true;
  for (const parameter of forward.parameters) {
    const name = parameter.name.text;
    const field = data.source.fields.find((f) => f.name === name);
    if (parameter.type.kind === "errorType") ok = false;
    else if (parameter.type.kind !== "tensorType") a.report(inputNotTensor(parameter));
    else if (field === undefined)
      a.report(missingField(parameter, data.declaration.name, data.declaration.fields));
    else {
      const span = data.declaration.fields.find((f) => f.name.text === name)?.span ?? parameter.span;
      const origin = { path: "", span: parameter.span, label: name };
      const value = a.emit({ op: "input", name }, [], field.dtype, data.dims.get(name) ?? [], origin);
      inputs.push(field);
      given.push({ name: parameter.name, value, span });
      continue;
    }
    ok = false;
  }
  if (!ok) return undefined;
  const { results, collected } = collectResults(a);
  const env: Env = { scope: new Scope(instance.scope), file: instance.file, path: "", results };
  const bound = bindParameters(a, declaration.name.text, forward.parameters, given, forward.keywordSpan, env);
  if (bound.failed) return undefined;
  const returned = runBody(a, declaration.name.text, forward.body, env, "", forward.keywordSpan);
  const [first] = returned ?? [];
  if (first !== undefined) {
    a.report(modelReturns(first.span));
    return undefined;
  }
  if (a.stopped) return undefined;
  if (collected.lossValues.size === 0) {
    a.report(noLosses(declaration));
    return undefined;
  }
  return { inputs, ...collected };
}

function collectResults(a: Analysis): {
  readonly results: ModelResults;
  readonly collected: Omit<RanModel, "inputs">;
} {
  const found: Readonly<Record<ResultKind, NamedValue[]>> = { output: [], head: [], loss: [], metric: [] };
  const lossValues = new Map<string, { readonly value: Value; readonly span: Span }>();
  const seen = new Map<string, Span>();
  const results: ModelResults = {
    add: (kind, name, nameSpan, value, span) => {
      // A head is an output that is computed when it is asked for: by its name, so both have their names in common.
      const isTensor = kind === "output" || kind === "head";
      const key = `${isTensor ? "output" : kind} ${name}`;
      const first = seen.get(key);
      if (first !== undefined) a.report(resultTwice(kind, name, nameSpan, first));
      seen.set(key, nameSpan);
      if (isTensor) {
        if (value.kind === "tensor" && value.dtype !== "bool") found[kind].push({ name, value: value.id });
        else if (value.kind !== "error") a.report(outputType(kind, span, name, value));
        return;
      }
      const fits = value.kind === "tensor" && value.dtype === "f32" && value.dims.length === 0;
      if (fits) found[kind].push({ name, value: value.id });
      else if (value.kind !== "error") a.report(lossType(kind, span, name, value));
      if (kind === "loss") lossValues.set(name, { value: fits ? value : errorValue, span: nameSpan });
    },
  };
  const { output: outputs, head: heads, loss: losses, metric: metrics } = found;
  return { results, collected: { outputs, heads, losses, metrics, lossValues } };
}
