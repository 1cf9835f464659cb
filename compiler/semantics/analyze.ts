import {
  compareDiagnostics,
  type Diagnostic,
  hasErrors,
  type SourceFile,
  type Span,
} from "../diagnostics/index.ts";
import type { DataDeclaration, TrainDeclaration } from "../syntax/index.ts";
import { Analysis, type Env, type ModelResults } from "./analysis.ts";
import { runBody } from "./bodies.ts";
import { checkNames } from "./check-names.ts";
import { buildFileScopes, type FileScope } from "./declarations.ts";
import {
  dataCall,
  fieldType,
  inputNotTensor,
  lossType,
  missingField,
  modelNeedsSettings,
  modelReturns,
  modelWithoutForward,
  noLosses,
  noTrain,
  notAModel,
  notData,
  objectiveType,
  outputType,
  resultTwice,
  trainTwice,
  unknownData,
  unknownModel,
  unknownOverride,
  wrongDataOverride,
} from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { type LoadFile, loadFiles } from "./files.ts";
import { instantiate } from "./instances.ts";
import { limits } from "./limits.ts";
import type { DataSource, NamedValue, TypedInput, TypedModel } from "./model.ts";
import { emptyScope, Scope } from "./scope.ts";
import { readOverrides, readValue } from "./settings.ts";
import { bindParameters, dimensionSize, type Given } from "./signature.ts";
import { readRecipe, type TrainEntries, trainEntries } from "./train.ts";
import { type Dim, errorValue, type Instance, type Value } from "./value.ts";

export interface AnalyzeOptions {
  /** The spec's text by path, and of what it imports; paths are relative to wherever `root` is. */
  readonly loadFile: LoadFile;
  /** The shipped library by path (`lib/bert.bert`), for imports that are not found beside the spec. */
  readonly library?: LoadFile;
  /** `--set name=value`: texts for the spec's settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Texts for settings of the `data` line, e.g. `{ batch: "8" }`; they go before what the line says. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface AnalysisResult {
  /** Absent if and only if a diagnostic is an error. */
  readonly model: TypedModel | undefined;
  /** In order of place, each once. */
  readonly diagnostics: readonly Diagnostic[];
  /** All files read, the root first; what `renderDiagnostics` needs. */
  readonly sources: readonly SourceFile[];
  /** The resolved settings that the root file sees. */
  readonly settings: Readonly<Record<string, number | boolean | string>>;
}

/** Checks a spec and gives its model with every size bound. Never throws, whatever the texts. */
export function analyze(root: string, options: AnalyzeOptions): AnalysisResult {
  const diagnostics = new Map<string, Diagnostic>();
  const report = (d: Diagnostic): void => {
    const { file, start, end } = d.primary.span;
    // A layer's body is read once an instance: the same mistake is told once.
    const key = `${d.code} ${file} ${start} ${end}`;
    if (!diagnostics.has(key) && diagnostics.size < limits.diagnostics) diagnostics.set(key, d);
  };
  const { root: file, sources } = loadFiles(
    root,
    options.loadFile,
    options.library ?? (() => undefined),
    report,
  );
  const settings: Record<string, number | boolean | string> = {};
  let model: TypedModel | undefined;
  const scopes = file === undefined ? undefined : buildFileScopes(file, report);
  const scope = file === undefined ? undefined : scopes?.get(file);
  if (file !== undefined && scope !== undefined && scopes !== undefined) {
    const a = new Analysis(report, sources, readOverrides(options.settings ?? {}, scope, report));
    for (const name of new Set(scope.namesOf("setting"))) {
      const found = scope.find(name, file.ast.span);
      if (found?.declaration.kind !== "setting") continue;
      const value = a.settings.valueOf(found.declaration, found.scope);
      if ("value" in value) settings[name] = value.value;
    }
    model = analyzeTraining(a, scope, options.data ?? {});
    checkNames(scopes.values(), report, () => diagnostics.size < limits.diagnostics);
    const trains = file.ast.items.some((item) => item.kind === "train");
    if (!trains && diagnostics.size === 0) report(noTrain({ file: file.source.name, start: 0, end: 0 }));
  }
  const sorted = [...diagnostics.values()].sort(compareDiagnostics);
  return { model: hasErrors(sorted) ? undefined : model, diagnostics: sorted, sources, settings };
}

function analyzeTraining(
  a: Analysis,
  file: FileScope,
  overrides: Readonly<Record<string, string>>,
): TypedModel | undefined {
  const trains = file.file.ast.items.flatMap((item) => (item.kind === "train" ? [item] : []));
  const [train, second] = trains;
  if (train === undefined) return undefined;
  if (second !== undefined) a.report(trainTwice(second, train));
  const entries = trainEntries(a, train);
  const env: Env = { scope: new Scope(emptyScope), file, path: "" };
  const data = readData(a, entries, env, overrides);
  const instance = makeModel(a, train, file);
  if (instance === undefined || data === undefined) {
    readRecipe(a, entries, env);
    return undefined;
  }
  const ran = runModel(a, instance, data);
  const recipe = readRecipe(a, entries, env);
  const objective = ran === undefined ? undefined : readObjective(a, entries, ran, file);
  if (ran === undefined || recipe === undefined || objective === undefined) return undefined;
  return {
    name: train.model.text,
    parameters: a.parameters,
    inputs: ran.inputs,
    instructions: a.instructions,
    outputs: ran.outputs,
    losses: ran.losses,
    objective,
    recipe,
    data: data.source,
  };
}

interface ReadData {
  readonly declaration: DataDeclaration;
  readonly source: DataSource;
  readonly dims: ReadonlyMap<string, readonly Dim[]>;
}

/** The `data` line: its declaration with settings bound and the fields' sizes. */
function readData(
  a: Analysis,
  entries: TrainEntries,
  env: Env,
  overrides: Readonly<Record<string, string>>,
): ReadData | undefined {
  const expression = entries.get("data")?.value;
  if (expression === undefined || expression.kind === "error") return undefined;
  if (expression.kind !== "call" || expression.callee.kind !== "name") {
    a.report(dataCall(expression.span));
    return undefined;
  }
  const { callee } = expression;
  const found = env.file.find(callee.text, callee.span);
  if (found === undefined) {
    a.report(unknownData(callee, env.file.namesOf("data")));
    return undefined;
  }
  if (found.declaration.kind !== "data") {
    a.report(notData(callee, found.declaration.name.span));
    return undefined;
  }
  const { declaration } = found;
  const given = expression.args.map((argument, i): Given => {
    const name = argument.name ?? declaration.parameters[i]?.name;
    const override = name === undefined ? undefined : overrides[name.text];
    const value =
      override === undefined
        ? evaluate(a, argument.value, env)
        : overridden(a, declaration, name?.text, override);
    return argument.name === undefined
      ? { value, span: argument.value.span }
      : { name: argument.name, value, span: argument.value.span };
  });
  const positions = new Set(
    expression.args.map((argument, i) => argument.name?.text ?? declaration.parameters[i]?.name.text),
  );
  for (const [name, text] of Object.entries(overrides)) {
    if (positions.has(name)) continue;
    const parameter = declaration.parameters.find((p) => p.name.text === name);
    if (parameter === undefined) {
      a.report(
        unknownOverride(
          name,
          declaration.parameters.map((p) => p.name.text),
          callee.span,
        ),
      );
    } else
      given.push({
        name: parameter.name,
        value: overridden(a, declaration, name, text),
        span: parameter.span,
      });
  }
  const inner: Env = { scope: new Scope(emptyScope), file: found.scope, path: "" };
  const bound = bindParameters(a, callee.text, declaration.parameters, given, expression.span, inner);
  if (bound.failed) return undefined;
  const settings: Record<string, number | string> = {};
  for (const { name } of declaration.parameters) {
    const value = inner.scope.lookup(name.text)?.value;
    if (value?.kind === "int" || value?.kind === "float" || value?.kind === "string")
      settings[name.text] = value.value;
    else if (value?.kind === "bool") settings[name.text] = value.value ? 1 : 0;
  }
  const fields: TypedInput[] = [];
  const dims = new Map<string, readonly Dim[]>();
  for (const field of declaration.fields) {
    const { type } = field;
    if (type.kind === "errorType") return undefined;
    if (type.kind !== "tensorType" || type.dtype === "bool" || type.dims.some((d) => d.kind === "ellipsis")) {
      a.report(fieldType(field));
      return undefined;
    }
    const sizes: Dim[] = [];
    for (const dimension of type.dims) {
      const size = dimension.kind === "ellipsis" ? undefined : dimensionSize(a, dimension, inner);
      if (size === undefined) return undefined;
      sizes.push(size.outer ?? size);
    }
    fields.push({ name: field.name.text, dtype: type.dtype, shape: sizes.map((d) => d.size) });
    dims.set(field.name.text, sizes);
  }
  return { declaration, source: { kind: callee.text, settings, fields }, dims };
}

function overridden(
  a: Analysis,
  declaration: DataDeclaration,
  name: string | undefined,
  text: string,
): Value {
  const parameter = declaration.parameters.find((p) => p.name.text === name);
  if (parameter?.type.kind !== "settingType") return errorValue;
  const value = readValue(text, parameter.type.name);
  return value ?? a.fail(wrongDataOverride(parameter, text));
}

function makeModel(a: Analysis, train: TrainDeclaration, file: FileScope): Instance | undefined {
  const found = file.find(train.model.text, train.model.span);
  if (found === undefined) {
    a.report(unknownModel(train.model, file.namesOf("modelInstance")));
    return undefined;
  }
  if (found.declaration.kind !== "modelInstance") {
    const { declaration } = found;
    a.report(
      declaration.kind === "model"
        ? modelNeedsSettings(train.model, declaration)
        : notAModel(train.model, declaration),
    );
    return undefined;
  }
  const made = found.declaration;
  const model = found.scope.find(made.model.text, made.model.span);
  if (model === undefined) {
    a.report(unknownModel(made.model, found.scope.namesOf("model")));
    return undefined;
  }
  if (model.declaration.kind !== "model") {
    a.report(notAModel(made.model, model.declaration));
    return undefined;
  }
  const env: Env = { scope: new Scope(emptyScope), file: found.scope, path: "" };
  const given = made.args.map((argument): Given => {
    const value = evaluate(a, argument.value, env);
    const span = argument.value.span;
    return argument.name === undefined ? { value, span } : { name: argument.name, value, span };
  });
  return instantiate(a, model.declaration, model.scope, given, "", made.span);
}

interface RanModel {
  readonly inputs: readonly TypedInput[];
  readonly outputs: readonly NamedValue[];
  readonly losses: readonly NamedValue[];
  readonly lossValues: ReadonlyMap<string, { readonly value: Value; readonly span: Span }>;
}

/** Runs the model's forward on the fields of the data. */
function runModel(a: Analysis, instance: Instance, data: ReadData): RanModel | undefined {
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
  const outputs: NamedValue[] = [];
  const losses: NamedValue[] = [];
  const lossValues = new Map<string, { readonly value: Value; readonly span: Span }>();
  const seen = new Map<string, Span>();
  const results: ModelResults = {
    add: (kind, name, nameSpan, value, span) => {
      const first = seen.get(`${kind} ${name}`);
      if (first !== undefined) a.report(resultTwice(kind, name, nameSpan, first));
      seen.set(`${kind} ${name}`, nameSpan);
      if (kind === "output") {
        if (value.kind === "tensor" && value.dtype !== "bool") outputs.push({ name, value: value.id });
        else if (value.kind !== "error") a.report(outputType(span, name, value));
        return;
      }
      const fits = value.kind === "tensor" && value.dtype === "f32" && value.dims.length === 0;
      if (fits) losses.push({ name, value: value.id });
      else if (value.kind !== "error") a.report(lossType(span, name, value));
      lossValues.set(name, { value: fits ? value : errorValue, span: nameSpan });
    },
  };
  return { results, collected: { outputs, losses, lossValues } };
}

function readObjective(
  a: Analysis,
  entries: TrainEntries,
  ran: RanModel,
  file: FileScope,
): number | undefined {
  const expression = entries.get("minimize")?.value;
  if (expression === undefined) return undefined;
  const scope = new Scope(emptyScope);
  for (const [name, loss] of ran.lossValues) scope.define(name, loss.value, loss.span);
  const value = evaluate(a, expression, { scope, file, path: "" }, "objective");
  if (value.kind === "tensor" && value.dtype === "f32" && value.dims.length === 0) return value.id;
  if (value.kind !== "error") a.report(objectiveType(expression.span, value));
  return undefined;
}
