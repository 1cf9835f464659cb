import { compareDiagnostics, type Diagnostic, hasErrors, type SourceFile } from "../diagnostics/index.ts";
import { parse, type TrainDeclaration } from "../syntax/index.ts";
import { Analysis, type Env, type Observe } from "./analysis.ts";
import { checkNames } from "./check-names.ts";
import { readData } from "./data.ts";
import { buildFileScopes, type FileScope } from "./declarations.ts";
import { modelNeedsSettings, noTrain, notAModel, objectiveType, trainTwice, unknownModel } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { type LoadFile, loadFiles, type ParseFile } from "./files.ts";
import { instantiate } from "./instances.ts";
import { limits } from "./limits.ts";
import type { MadeOf, TypedModel } from "./model.ts";
import { type RanModel, runModel } from "./run-model.ts";
import { emptyScope, Scope } from "./scope.ts";
import { readOverrides } from "./settings.ts";
import type { Given } from "./signature.ts";
import { readRecipe, type TrainEntries, trainEntries } from "./train.ts";
import type { Instance } from "./value.ts";

export interface AnalyzeOptions {
  /** The spec's text by path, and of what it imports; paths are relative to wherever `root` is. */
  readonly loadFile: LoadFile;
  /** The shipped library by path (`lib/bert.bert`), for imports that are not found beside the spec. */
  readonly library?: LoadFile;
  /** `--set name=value`: texts for the spec's settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Texts for settings of the `data` line, e.g. `{ batch: "8" }`; they go before what the line says. */
  readonly data?: Readonly<Record<string, string>>;
  /** How a file becomes its AST; one that remembers saves time where a spec is analysed for many sizes. */
  readonly parse?: ParseFile;
  /** Told every value with its place, for editors. Default: nobody is, which costs nothing. */
  readonly observe?: Observe;
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
    options.parse ?? parse,
    report,
  );
  const settings: Record<string, number | boolean | string> = {};
  let model: TypedModel | undefined;
  const scopes = file === undefined ? undefined : buildFileScopes(file, report);
  const scope = file === undefined ? undefined : scopes?.get(file);
  if (file !== undefined && scope !== undefined && scopes !== undefined) {
    const a = new Analysis(
      report,
      sources,
      readOverrides(options.settings ?? {}, scope, report),
      options.observe,
    );
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
    madeOf: madeOf(instance),
    parameters: a.parameters,
    inputs: ran.inputs,
    instructions: a.instructions,
    outputs: ran.outputs,
    heads: ran.heads,
    losses: ran.losses,
    metrics: ran.metrics,
    objective,
    recipe,
    data: data.source,
  };
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

function madeOf({ declaration, scope }: Instance): MadeOf {
  const given = declaration.parameters.flatMap(({ name }) => {
    const value = scope.own(name.text)?.value;
    return value !== undefined && "value" in value ? [[name.text, value.value] as const] : [];
  });
  return { declaration: declaration.name.text, arguments: Object.fromEntries(given) };
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
