// In: the text of a spec (and of what it imports), overrides, a device profile.
// Out: a `Program`, or diagnostics.
// Assumes: nothing of the text; the profile comes from `runtime/device` or is one of its defaults.
// Guarantees: pure (no files, no device, no clock but for timings); the same input gives the same bytes; never throws for bad text.
// Start reading at: `compile` below, which is the order of the rooms.
import { assemble } from "./assemble/index.ts";
import { gradients } from "./autodiff/index.ts";
import type { Diagnostic, SourceFile } from "./diagnostics/index.ts";
import { hasErrors } from "./diagnostics/index.ts";
import { elaborate } from "./elaborate/index.ts";
import { elementCount, type ForwardGraph, type Graph, print, verify } from "./graph/index.ts";
import { type OnnxModel, type OnnxSignature, plainSignature, toOnnx } from "./onnx/index.ts";
import { optimize, simplifyForward } from "./optimize/index.ts";
import {
  type EntryPlan,
  largestBatch,
  type MemoryReport,
  memoryReport,
  overMemoryLimit,
  planEntries,
  type SmallerBatch,
} from "./plan/index.ts";
import { emulateF16, mixedPrecision } from "./precision/index.ts";
import {
  type DeviceProfile,
  type DType,
  type LossScaling,
  type Precision,
  type Program,
  type Shape,
  type Tuning,
  verifyProgram,
} from "./program/index.ts";
import {
  draftsOf,
  type FusionRule,
  printSchedule,
  type Schedule,
  TensorTooLargeError,
  UnknownVariantError,
  type UnknownVariants,
} from "./schedule/index.ts";
import { analyze, type LoadFile, type MadeOf, type ParseFile, type TypedModel } from "./semantics/index.ts";
import { parse } from "./syntax/index.ts";
import {
  buildAccumulateStep,
  buildEncode,
  buildEvaluate,
  buildTrainStep,
  defaultLossScaling,
  layoutParameters,
  ParameterTooLargeError,
  type StateLayout,
} from "./training/index.ts";
import { printKernel } from "./wgsl/index.ts";

export type { Diagnostic, SourceFile } from "./diagnostics/index.ts";
export { renderDiagnostics } from "./diagnostics/index.ts";
export type { MemoryReport } from "./plan/index.ts";
export type { DeviceProfile, Program } from "./program/index.ts";
export { ProgramFormatError, parseProgram, serializeProgram } from "./program/index.ts";

export type EntryName = keyof Program["entries"];

export interface CheckOptions {
  /** The spec's text by path, and of what it imports. */
  readonly load: LoadFile;
  /** The shipped library by path (`lib/bert.bert`), for imports that are not found beside the spec. */
  readonly library?: LoadFile;
  /** `--set name=value`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Overrides of the `data` line, e.g. `{ batch: 1 }`. */
  readonly data?: Readonly<Record<string, number | string>>;
}

export interface CompileOptions extends CheckOptions {
  readonly profile: DeviceProfile;
  /** False: one kernel an op. Default true. */
  readonly fuse?: boolean;
  /** Fusion rules to switch off. Default: none. */
  readonly without?: readonly FusionRule[];
  /**
   * Bytes that all buffers of the program together may take: values are computed again rather than kept until
   * everything fits. Default: no limit, and nothing is computed again for memory's sake.
   */
  readonly memoryBytes?: number;
  /**
   * `mixed`: contractions take f16 and sum in f32, the objective is scaled. Parameters and the optimizer stay f32. Where the device
   * has no f16 it is emulated: the same numbers, no gain. Default `f32`.
   */
  readonly precision?: Precision;
  /** Of `mixed`: what differs from PyTorch's defaults. */
  readonly lossScaling?: Partial<LossScaling>;
  /** Kernels' variants as they were measured on the device, see `Tuning`. Default: none, the cost model decides. */
  readonly tuning?: Tuning;
  /** What to do where a kernel does not have the variant that `tuning` names. Default `refuse`: an error. */
  readonly unknownVariants?: UnknownVariants;
  /** Default: all that the spec's training needs, and `evaluate` and `encode`. */
  readonly entries?: readonly EntryName[];
  /** What `encode` computes: outputs and heads by name. Default: all outputs. A name that the model has not is passed over. */
  readonly outputs?: readonly string[];
  /** Verifies the graph between passes and the finished plan (tests do). Default false. */
  readonly verify?: boolean;
}

export interface ModelSummary {
  readonly name: string;
  /** Which `model` declaration it is made of, and the arguments: defaults included. */
  readonly model: MadeOf;
  /** Trainable numbers. */
  readonly parameters: number;
  readonly params: readonly { readonly name: string; readonly shape: Shape }[];
  readonly inputs: readonly { readonly name: string; readonly dtype: DType; readonly shape: Shape }[];
  readonly losses: readonly string[];
  readonly outputs: readonly string[];
  /** Outputs that are computed when asked for, by `CompileOptions.outputs`. */
  readonly heads: readonly string[];
  readonly metrics: readonly string[];
  readonly settings: Readonly<Record<string, number | boolean | string>>;
}

export interface CheckResult {
  readonly diagnostics: readonly Diagnostic[];
  /** All files read, the root first: what `renderDiagnostics` needs. */
  readonly sources: readonly SourceFile[];
  /** Absent if there is an error. */
  readonly summary?: ModelSummary;
}

export interface CompileResult extends CheckResult {
  /** Absent if there is an error. */
  readonly program?: Program;
  /** Given with `memoryBytes`. */
  readonly memory?: MemoryReport;
  /** Choices of `tuning` that were ignored, as their kernels cannot have them. */
  readonly ignoredTuning?: Tuning;
  /** Texts of the stages of every entry, for people. Computed when asked for. */
  readonly stages?: {
    readonly graph: () => string;
    readonly schedule: () => string;
    /** The schedules themselves; steps are numbered as in the program's entries. */
    readonly schedules: ReadonlyMap<EntryName, Schedule>;
  };
  /** Milliseconds by stage. */
  readonly timings: Readonly<Record<string, number>>;
}

/** Checks a spec: its errors, or what its model is. */
export function check(root: string, options: CheckOptions): CheckResult {
  return analyzeSpec(root, options).result;
}

export interface InferenceResult extends CheckResult {
  /**
   * Losses, outputs, heads and metrics without dropout (`output.<name>` and so on), simplified by rules that ask nothing of who
   * reads a node: equal models have equal nodes. Absent if there is an error.
   */
  readonly graph?: Graph;
}

/** What a spec's model computes, as graph, to be compared with another's (`firstDifference` of the graph room). */
export function inferenceGraph(root: string, options: CheckOptions): InferenceResult {
  const { model, result } = analyzeSpec(root, options);
  if (model === undefined || hasErrors(result.diagnostics)) return result;
  return { ...result, graph: simplifyForward(elaborate(model, "evaluate").graph) };
}

export interface OnnxOptions extends CheckOptions {
  /** Outputs and heads by name. Default: all outputs. */
  readonly outputs?: readonly string[];
  /** What inputs, outputs and sizes are called outside. Default: as in the spec. */
  readonly signature?: OnnxSignature;
}

export interface OnnxResult extends CheckResult {
  /** Absent if there is an error. */
  readonly onnx?: OnnxModel;
}

/** Translates what computes a model's outputs to ONNX, for any sizes of the data that the spec accepts. */
export function exportOnnx(root: string, options: OnnxOptions): OnnxResult {
  const parsed = new Map<string, ReturnType<ParseFile>>();
  const remembering: ParseFile = (source) => {
    const key = `${source.name}\n${source.text}`;
    const known = parsed.get(key) ?? parse(source);
    parsed.set(key, known);
    return known;
  };
  const { model, result } = analyzeSpec(root, options, remembering);
  if (model === undefined || hasErrors(result.diagnostics)) return result;
  const onnx = toOnnx(
    (data) => {
      const sized = analyzeSpec(root, { ...options, data: { ...options.data, ...data } }, remembering);
      return { model: sized.model, diagnostics: sized.result.diagnostics };
    },
    model,
    { outputs: options.outputs, signature: options.signature ?? plainSignature, file: root },
  );
  if ("code" in onnx) return { ...result, diagnostics: [...result.diagnostics, onnx] };
  return { ...result, onnx };
}

/** Compiles a spec to a program for a device. */
export function compile(root: string, options: CompileOptions): CompileResult {
  const timings: Record<string, number> = {};
  const timed = <T>(stage: string, work: () => T): T => {
    const start = performance.now();
    const result = work();
    timings[stage] = (timings[stage] ?? 0) + performance.now() - start;
    return result;
  };
  const { model: analyzed, result } = timed("analyze", () => analyzeSpec(root, options));
  if (analyzed === undefined || hasErrors(result.diagnostics)) return { ...result, timings };
  const model = scaledModel(analyzed, options);
  const { profile } = options;
  try {
    const { layout, graphs, plans } = planModel(model, options, timed);
    const memory = memoryReport(plans, layout.states, model.recipe.accumulate);
    if (options.memoryBytes !== undefined && memory.peakBytes > options.memoryBytes) {
      const over = timed("smaller batch", () => overLimit(root, options, model, result, layout, memory));
      return { ...result, diagnostics: [...result.diagnostics, over], timings };
    }
    const schedules = new Map([...plans].map(([name, plan]) => [name, plan.schedule]));
    const program = timed("assemble", () =>
      assemble({
        about: {
          name: model.name,
          profile,
          data: { kind: model.data.kind, settings: model.data.settings },
          settings: {
            steps: model.recipe.steps,
            accumulate: model.recipe.accumulate,
            losses: model.losses.map((loss) => loss.name),
            ...(model.recipe.initFrom !== undefined && { initFrom: model.recipe.initFrom }),
            ...(model.recipe.lossScaling !== undefined && { lossScaling: model.recipe.lossScaling }),
          },
          parameters: layout.parameters.map(({ name, shape, init, buffer, offsetBytes, slots }) => ({
            name,
            shape,
            init,
            buffer,
            offsetBytes,
            slots,
          })),
          sources: result.sources.map(({ name, text }) => ({ path: name, text })),
          overrides: options.settings ?? {},
          ...(options.precision === "mixed" && { precision: options.precision }),
          ...(options.memoryBytes !== undefined && { memoryBytes: options.memoryBytes }),
        },
        states: layout.states.map(({ name, shape }) => ({
          name,
          sizeBytes: shape.reduce((n, size) => n * size, 4),
        })),
        entries: Object.fromEntries(schedules),
        print: printKernel,
        drafts: (kernel) => draftsOf(kernel, profile),
      }),
    );
    if (options.verify === true) verifyProgram(program);
    const text = <T>(of: ReadonlyMap<EntryName, T>, show: (value: T) => string) =>
      [...of].map(([name, value]) => `// entry ${name}\n${show(value)}`).join("\n");
    const stages = {
      graph: () => text(graphs, (graph) => print(graph, { origins: true })),
      schedule: () => text(plans, (plan) => printSchedule(plan.schedule) + plan.decisions.join("")),
      schedules,
    };
    const ignored = Object.fromEntries(
      [...schedules.values()].flatMap((s) => Object.entries(s.ignored ?? {})),
    );
    return {
      ...result,
      program,
      ...(options.memoryBytes !== undefined && { memory }),
      ...(Object.keys(ignored).length > 0 && { ignoredTuning: ignored }),
      stages,
      timings,
    };
  } catch (thrown) {
    const diagnostic = refusalOf(thrown, result.sources[0]?.name ?? root);
    if (diagnostic === undefined) throw thrown;
    return { ...result, diagnostics: [...result.diagnostics, diagnostic], timings };
  }
}

type Timed = <T>(stage: string, work: () => T) => T;

/** A typed model with every entry scheduled. */
interface PlannedModel {
  readonly layout: StateLayout;
  readonly graphs: ReadonlyMap<EntryName, Graph>;
  readonly plans: ReadonlyMap<EntryName, EntryPlan>;
}

/** @throws ParameterTooLargeError, TensorTooLargeError */
function planModel(model: ScaledModel, options: CompileOptions, timed: Timed): PlannedModel {
  const { profile } = options;
  const forwards = new Map<ForwardMode, ForwardGraph>();
  const forwardIn = (mode: ForwardMode): ForwardGraph => {
    const known = forwards.get(mode);
    if (known !== undefined) return known;
    const elaborated = timed("elaborate", () => elaborate(model, mode));
    const made = { ...elaborated, graph: timed("optimize", () => simplifyForward(elaborated.graph)) };
    forwards.set(mode, made);
    return made;
  };
  const layout = layoutParameters(forwardIn("train").parameters, model.recipe, {
    maxBufferBytes: Math.min(profile.maxBufferSize, profile.maxStorageBufferBindingSize),
    alignmentBytes: profile.minStorageBufferOffsetAlignment,
  });
  const graphs = new Map<EntryName, Graph>();
  const check = (graph: Graph): Graph => {
    if (options.verify === true) verify(graph);
    return graph;
  };
  // After the rules of `optimize`: those that share contractions would not know rounded operands.
  const rounded = (graph: Graph): Graph => {
    if (options.precision !== "mixed") return graph;
    return timed("precision", () => {
      const mixed = check(mixedPrecision(graph));
      return profile.f16 ? mixed : check(emulateF16(mixed));
    });
  };
  for (const name of options.entries ?? entriesOf(model)) {
    const forward = forwardIn(forwardModes[name]);
    const built = timed("training", () => check(buildEntry(name, forward, model, layout, options.outputs)));
    graphs.set(name, rounded(timed("optimize", () => check(optimize(built)))));
  }
  const scheduling = {
    fuse: options.fuse ?? true,
    without: options.without ?? [],
    ...(options.tuning !== undefined && { tuning: options.tuning }),
    ...(options.unknownVariants !== undefined && { unknownVariants: options.unknownVariants }),
  };
  const { memoryBytes } = options;
  const plans = timed("schedule", () =>
    planEntries({ graphs, states: layout.states, profile, scheduling, memoryBytes, check }),
  );
  return { layout, graphs, plans };
}

function overLimit(
  root: string,
  options: CompileOptions,
  model: TypedModel,
  { sources }: CheckResult,
  layout: StateLayout,
  memory: MemoryReport,
): Diagnostic {
  const limit = options.memoryBytes ?? Number.POSITIVE_INFINITY;
  const stateBytes = layout.states.reduce((n, { shape }) => n + 4 * elementCount(shape), 0);
  const peakOf = (batch: number, accumulate: number): number | undefined => {
    const data = { ...options.data, batch };
    const { model: analyzed } = analyzeSpec(root, { ...options, data });
    if (analyzed === undefined) return undefined;
    const smaller = scaledModel(analyzed, options);
    const recipe = { ...smaller.recipe, accumulate };
    const entries = entriesOf({ ...smaller, recipe });
    const untimed: Timed = (_, work) => work();
    const planned = planModel({ ...smaller, recipe }, { ...options, entries }, untimed);
    return memoryReport(planned.plans, planned.layout.states, accumulate).peakBytes;
  };
  const { batch } = model.data.settings;
  const smaller =
    typeof batch === "number" && stateBytes < limit
      ? largestBatch(batch, model.recipe.accumulate, limit, peakOf)
      : undefined;
  const canSet = smaller !== undefined && isMadeBySettings(root, options, smaller);
  return overMemoryLimit(sources[0]?.name ?? root, memory, stateBytes, limit, smaller, canSet);
}

/** Whether `--set batch` and, where a step has as many examples as before, `--set accumulate` give that batch. */
function isMadeBySettings(
  root: string,
  options: CompileOptions,
  { batch, accumulate, keepsExamples }: SmallerBatch,
): boolean {
  const settings = {
    ...options.settings,
    batch: String(batch),
    ...(keepsExamples && { accumulate: String(accumulate) }),
  };
  const { model } = analyzeSpec(root, { ...options, settings });
  return model?.data.settings.batch === batch && model.recipe.accumulate === accumulate;
}

type ScaledModel = TypedModel & { readonly recipe: { readonly lossScaling?: LossScaling } };

/** The model with its objective scaled, where precision is mixed. */
function scaledModel(model: TypedModel, { precision, lossScaling }: CompileOptions): ScaledModel {
  if (precision !== "mixed") return model;
  return { ...model, recipe: { ...model.recipe, lossScaling: { ...defaultLossScaling, ...lossScaling } } };
}

function entriesOf(model: TypedModel): readonly EntryName[] {
  const training: EntryName[] = model.recipe.accumulate > 1 ? ["accumulate", "train"] : ["train"];
  return model.outputs.length > 0 ? [...training, "evaluate", "encode"] : [...training, "evaluate"];
}

/** With dropout, or without. */
type ForwardMode = "train" | "evaluate";
const forwardModes: Readonly<Record<EntryName, ForwardMode>> = {
  train: "train",
  accumulate: "train",
  evaluate: "evaluate",
  encode: "evaluate",
};

function buildEntry(
  name: EntryName,
  forward: ForwardGraph,
  model: ScaledModel,
  layout: StateLayout,
  outputs: readonly string[] | undefined,
): Graph {
  switch (name) {
    case "train":
      return buildTrainStep(forward, model.recipe, layout, gradients);
    case "accumulate":
      return buildAccumulateStep(forward, model.recipe, layout, gradients);
    case "evaluate":
      return buildEvaluate(forward, layout);
    case "encode":
      return buildEncode(forward, layout, outputs);
    default:
      return name satisfies never;
  }
}

function analyzeSpec(
  root: string,
  { load, library, settings, data }: CheckOptions,
  parseFile: ParseFile = parse,
): { readonly model: TypedModel | undefined; readonly result: CheckResult } {
  const analysis = analyze(root, {
    loadFile: load,
    parse: parseFile,
    ...(library !== undefined && { library }),
    ...(settings !== undefined && { settings }),
    ...(data !== undefined && {
      data: Object.fromEntries(Object.entries(data).map(([name, value]) => [name, String(value)])),
    }),
  });
  const { model, diagnostics, sources } = analysis;
  const result = { diagnostics, sources };
  if (model === undefined) return { model, result };
  const summary: ModelSummary = {
    name: model.name,
    model: model.madeOf,
    parameters: model.parameters.reduce((n, p) => n + p.shape.reduce((a, size) => a * size, 1), 0),
    params: model.parameters.map(({ name, shape }) => ({ name, shape })),
    inputs: model.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    losses: model.losses.map((loss) => loss.name),
    outputs: model.outputs.map((output) => output.name),
    heads: model.heads.map((head) => head.name),
    metrics: model.metrics.map((metric) => metric.name),
    settings: analysis.settings,
  };
  return { model, result: { ...result, summary } };
}

/** What does not fit the device, as a message: the spec is right, its sizes or the tuning data are not. */
function refusalOf(thrown: unknown, file: string): Diagnostic | undefined {
  if (thrown instanceof UnknownVariantError) {
    return {
      code: "unknown-variant",
      severity: "error",
      message: thrown.message,
      primary: { span: { file, start: 0, end: 0 }, text: "" },
      related: [],
      hint: "the tuning data is for another device or another version: tune again, or compile without it",
    };
  }
  if (!(thrown instanceof TensorTooLargeError) && !(thrown instanceof ParameterTooLargeError))
    return undefined;
  return {
    code: "too-large-for-device",
    severity: "error",
    message: thrown.message,
    primary: { span: { file, start: 0, end: 0 }, text: "" },
    related: [],
    hint: "make `batch` or the model smaller with `--set`, or accumulate over several smaller batches",
  };
}
