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
import { type ForwardGraph, type Graph, print, verify } from "./graph/index.ts";
import { optimize, simplifyForward } from "./optimize/index.ts";
import { type DeviceProfile, type DType, type Program, type Shape, verifyProgram } from "./program/index.ts";
import {
  type FusionRule,
  printSchedule,
  type Schedule,
  schedule,
  TensorTooLargeError,
} from "./schedule/index.ts";
import { analyze, type LoadFile, type TypedModel } from "./semantics/index.ts";
import {
  buildAccumulateStep,
  buildEncode,
  buildEvaluate,
  buildTrainStep,
  layoutParameters,
  ParameterTooLargeError,
  type StateLayout,
} from "./training/index.ts";
import { printKernel } from "./wgsl/index.ts";

export type { Diagnostic, SourceFile } from "./diagnostics/index.ts";
export { renderDiagnostics } from "./diagnostics/index.ts";
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
  /** Default: all that the spec's training needs, and `evaluate` and `encode`. */
  readonly entries?: readonly EntryName[];
  /** Verifies the graph between passes and the finished plan (tests do). Default false. */
  readonly verify?: boolean;
}

export interface ModelSummary {
  readonly name: string;
  /** Trainable numbers. */
  readonly parameters: number;
  readonly params: readonly { readonly name: string; readonly shape: Shape }[];
  readonly inputs: readonly { readonly name: string; readonly dtype: DType; readonly shape: Shape }[];
  readonly losses: readonly string[];
  readonly outputs: readonly string[];
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

/** Compiles a spec to a program for a device. */
export function compile(root: string, options: CompileOptions): CompileResult {
  const timings: Record<string, number> = {};
  const timed = <T>(stage: string, work: () => T): T => {
    const start = performance.now();
    const result = work();
    timings[stage] = (timings[stage] ?? 0) + performance.now() - start;
    return result;
  };
  const { model, result } = timed("analyze", () => analyzeSpec(root, options));
  if (model === undefined || hasErrors(result.diagnostics)) return { ...result, timings };
  const { profile } = options;
  try {
    const forwardOf = (mode: "train" | "evaluate"): ForwardGraph => {
      const elaborated = timed("elaborate", () => elaborate(model, mode));
      return { ...elaborated, graph: timed("optimize", () => simplifyForward(elaborated.graph)) };
    };
    const forward = forwardOf("train");
    const inference = forwardOf("evaluate");
    const layout = layoutParameters(forward.parameters, model.recipe, {
      maxBufferBytes: Math.min(profile.maxBufferSize, profile.maxStorageBufferBindingSize),
      alignmentBytes: profile.minStorageBufferOffsetAlignment,
    });
    const graphs = new Map<EntryName, Graph>();
    const schedules = new Map<EntryName, Schedule>();
    const checked = (graph: Graph): Graph => {
      if (options.verify === true) verify(graph);
      return graph;
    };
    for (const name of options.entries ?? entriesOf(model)) {
      const built = timed("training", () => checked(buildEntry(name, forward, inference, model, layout)));
      const graph = timed("optimize", () => checked(optimize(built)));
      graphs.set(name, graph);
      schedules.set(
        name,
        timed("schedule", () =>
          schedule(graph, profile, { fuse: options.fuse ?? true, without: options.without ?? [] }),
        ),
      );
    }
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
        },
        states: layout.states.map(({ name, shape }) => ({
          name,
          sizeBytes: shape.reduce((n, size) => n * size, 4),
        })),
        entries: Object.fromEntries(schedules),
        print: printKernel,
      }),
    );
    if (options.verify === true) verifyProgram(program);
    const text = <T>(of: ReadonlyMap<EntryName, T>, show: (value: T) => string) =>
      [...of].map(([name, value]) => `// entry ${name}\n${show(value)}`).join("\n");
    const stages = {
      graph: () => text(graphs, (graph) => print(graph, { origins: true })),
      schedule: () => text(schedules, printSchedule),
      schedules,
    };
    return { ...result, program, stages, timings };
  } catch (thrown) {
    const diagnostic = tooLarge(thrown, result.sources[0]?.name ?? root);
    if (diagnostic === undefined) throw thrown;
    return { ...result, diagnostics: [...result.diagnostics, diagnostic], timings };
  }
}

function entriesOf(model: TypedModel): readonly EntryName[] {
  const training: EntryName[] = model.recipe.accumulate > 1 ? ["accumulate", "train"] : ["train"];
  return model.outputs.length > 0 ? [...training, "evaluate", "encode"] : [...training, "evaluate"];
}

function buildEntry(
  name: EntryName,
  forward: ForwardGraph,
  inference: ForwardGraph,
  model: TypedModel,
  layout: StateLayout,
): Graph {
  switch (name) {
    case "train":
      return buildTrainStep(forward, model.recipe, layout, gradients);
    case "accumulate":
      return buildAccumulateStep(forward, model.recipe, layout, gradients);
    case "evaluate":
      return buildEvaluate(inference, layout);
    case "encode":
      return buildEncode(inference, layout);
    default:
      return name satisfies never;
  }
}

function analyzeSpec(
  root: string,
  { load, library, settings, data }: CheckOptions,
): { readonly model: TypedModel | undefined; readonly result: CheckResult } {
  const analysis = analyze(root, {
    loadFile: load,
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
    parameters: model.parameters.reduce((n, p) => n + p.shape.reduce((a, size) => a * size, 1), 0),
    params: model.parameters.map(({ name, shape }) => ({ name, shape })),
    inputs: model.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    losses: model.losses.map((loss) => loss.name),
    outputs: model.outputs.map((output) => output.name),
    settings: analysis.settings,
  };
  return { model, result: { ...result, summary } };
}

/** What does not fit the device, as a message: the spec is right, its sizes are not. */
function tooLarge(thrown: unknown, file: string): Diagnostic | undefined {
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
