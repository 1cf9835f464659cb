import type { Span } from "../diagnostics/index.ts";
import type { Expression, TrainDeclaration, TrainEntry, TrainKey } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { missingTrainKeys, recipeCall, recipeRange, unknownRecipe } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import type { LearningRate, OptimizerRecipe, Recipe } from "./model.ts";
import { exactInt } from "./numbers.ts";
import { readFrozen, readPatterns, readRates } from "./parameter-patterns.ts";
import { readSettings, type SettingSpec } from "./recipe-calls.ts";
import { errorValue, isNumber, type Value } from "./value.ts";

export type TrainEntries = ReadonlyMap<TrainKey, TrainEntry>;

/** The entries by key; missing ones are reported. */
export function trainEntries(a: Analysis, train: TrainDeclaration): TrainEntries {
  const entries = new Map<TrainKey, TrainEntry>();
  for (const entry of train.entries) if (!entries.has(entry.key)) entries.set(entry.key, entry);
  const missing = (["data", "minimize", "optimizer", "steps"] as const).filter((key) => !entries.has(key));
  if (missing.length > 0) a.report(missingTrainKeys(train, missing));
  return entries;
}

/** How the model is trained, in numbers; undefined where something is wrong, which is reported. */
export function readRecipe(a: Analysis, entries: TrainEntries, env: Env): Recipe | undefined {
  const optimizer = readOptimizer(a, entries.get("optimizer")?.value, env);
  const frozen = readFrozen(a, entries.get("freeze")?.value, env);
  const rates = readRates(a, entries.get("rates")?.value, env);
  const initFrom = readInit(a, entries.get("init")?.value, env);
  const clip = readClip(a, entries.get("clip")?.value, env);
  const steps = readCount(a, entries.get("steps")?.value, "steps", env);
  const accumulateEntry = entries.get("accumulate");
  const accumulate =
    accumulateEntry === undefined ? 1 : readCount(a, accumulateEntry.value, "accumulate", env);
  if (optimizer === undefined || steps === undefined || accumulate === undefined || clip === undefined)
    return undefined;
  if (frozen === undefined || rates === undefined || initFrom === undefined) return undefined;
  return {
    optimizer,
    ...(frozen.length > 0 && { frozen }),
    ...(rates.length > 0 && { rates }),
    ...(initFrom !== "" && { initFrom }),
    ...(clip !== "none" && { clip }),
    accumulate,
    steps,
  };
}

/** A path; "" for none, so that a setting can say so. */
function readInit(a: Analysis, expression: Expression | undefined, env: Env): string | undefined {
  if (expression === undefined) return "";
  const value = evaluate(a, expression, env);
  if (value.kind === "string") return value.value;
  if (value.kind !== "error") a.report(recipeRange(expression, "`init from` takes the path of a checkpoint"));
  return undefined;
}

function readCount(
  a: Analysis,
  expression: Expression | undefined,
  what: string,
  env: Env,
): number | undefined {
  if (expression === undefined) return undefined;
  const value = evaluate(a, expression, env);
  if (value.kind === "error") return undefined;
  const count = exactInt(value);
  if (count !== undefined && count >= 1 && count < 2 ** 31) return count;
  a.report(recipeRange(expression, `\`${what}\` is an int of 1 or more`));
  return undefined;
}

const float = (name: string, fallback?: number): SettingSpec =>
  fallback === undefined
    ? { name, type: "float" }
    : { name, type: "float", fallback: { kind: "float", value: fallback } };

/** Patterns of parameter names; none by default. */
const patternList: SettingSpec = {
  name: "exclude",
  type: "list of strings",
  fallback: { kind: "list", elements: [] },
};

const optimizerKinds = ["sgd", "momentum", "adam", "adamw"] as const;
type OptimizerKind = (typeof optimizerKinds)[number];

/** Settings after `lr`. Adam: Kingma and Ba 2015; decoupled decay: Loshchilov and Hutter 2019. */
const optimizerSettings: Readonly<Record<OptimizerKind, readonly SettingSpec[]>> = {
  sgd: [],
  momentum: [
    float("momentum", 0.9),
    { name: "nesterov", type: "bool", fallback: { kind: "bool", value: false } },
  ],
  adam: [float("beta1", 0.9), float("beta2", 0.999), float("eps", 1e-8)],
  adamw: [float("beta1", 0.9), float("beta2", 0.999), float("eps", 1e-8), float("weight_decay", 0.01)],
};

/** What each optimizer takes, `lr` first. */
export const optimizerSignatures: ReadonlyMap<string, readonly SettingSpec[]> = new Map(
  optimizerKinds.map((kind) => [kind, settingsOf(kind, { name: "lr", type: "learning rate" }, patternList)]),
);

function settingsOf(kind: OptimizerKind, rate: SettingSpec, excluded: SettingSpec): readonly SettingSpec[] {
  return [rate, ...optimizerSettings[kind], ...(kind === "adamw" ? [excluded] : [])];
}

function isOptimizer(name: string): name is OptimizerKind {
  return optimizerKinds.some((kind) => kind === name);
}

function readOptimizer(
  a: Analysis,
  expression: Expression | undefined,
  env: Env,
): OptimizerRecipe | undefined {
  if (expression === undefined || expression.kind === "error") return undefined;
  if (expression.kind !== "call" || expression.callee.kind !== "name") {
    a.report(
      recipeCall(
        expression.span,
        "an optimizer",
        optimizerKinds.map((k) => `${k}(...)`),
      ),
    );
    return undefined;
  }
  const kind = expression.callee.text;
  if (!isOptimizer(kind)) {
    a.report(unknownRecipe(expression.callee, "optimizer", optimizerKinds));
    return undefined;
  }
  let lr: LearningRate | undefined;
  let exclude: readonly string[] | undefined = [];
  const rate: SettingSpec = {
    name: "lr",
    type: "learning rate",
    read: (e) => {
      lr = readLearningRate(a, e, env);
      return lr === undefined ? errorValue : { kind: "float", value: 0 };
    },
  };
  const excluded: SettingSpec = {
    ...patternList,
    read: (e) => {
      exclude = readPatterns(a, e, "exclude", env);
      return exclude === undefined ? errorValue : { kind: "list", elements: [] };
    },
  };
  const settings = readSettings(a, kind, settingsOf(kind, rate, excluded), expression, env);
  if (settings === undefined || lr === undefined) return undefined;
  const number = (name: string): number | undefined => {
    const value = settings.get(name);
    return value?.kind === "float" ? value.value : undefined;
  };
  const problem = ["momentum", "beta1", "beta2"].find((name) => {
    const value = number(name);
    return value !== undefined && (value < 0 || value >= 1);
  });
  if (problem !== undefined) {
    a.report(recipeRange(expression, `\`${problem}\` is from 0 up to but not including 1`));
    return undefined;
  }
  const negative = ["eps", "weight_decay"].find((name) => (number(name) ?? 0) < 0);
  if (negative !== undefined) {
    a.report(recipeRange(expression, `\`${negative}\` must not be negative`));
    return undefined;
  }
  const nesterov = settings.get("nesterov");
  const [momentum, beta1, beta2, eps] = [number("momentum"), number("beta1"), number("beta2"), number("eps")];
  const weightDecay = number("weight_decay");
  return {
    kind,
    lr,
    ...(momentum !== undefined && { momentum }),
    ...(nesterov?.kind === "bool" && { nesterov: nesterov.value }),
    ...(beta1 !== undefined && { beta1 }),
    ...(beta2 !== undefined && { beta2 }),
    ...(eps !== undefined && { eps }),
    ...(weightDecay !== undefined && { weightDecay, exclude }),
  };
}

const schedules = {
  constant: [float("value")],
  warmup: [float("peak"), { name: "warmup", type: "int" }],
  warmup_linear: [
    float("peak"),
    { name: "warmup", type: "int" },
    { name: "total", type: "int" },
    float("end", 0),
  ],
  warmup_cosine: [
    float("peak"),
    { name: "warmup", type: "int" },
    { name: "total", type: "int" },
    float("end", 0),
  ],
} as const satisfies Readonly<Record<string, readonly SettingSpec[]>>;

/** What each learning rate takes. */
export const scheduleSignatures: ReadonlyMap<string, readonly SettingSpec[]> = new Map(
  Object.entries(schedules),
);

/** What `clip` may be. */
export const clipSignatures: ReadonlyMap<string, readonly SettingSpec[]> = new Map([
  ["global_norm", [float("max")]],
]);

function isSchedule(name: string): name is keyof typeof schedules {
  return Object.hasOwn(schedules, name);
}

function readLearningRate(a: Analysis, expression: Expression, env: Env): LearningRate | undefined {
  if (
    expression.kind !== "call" ||
    expression.callee.kind !== "name" ||
    !isSchedule(expression.callee.text)
  ) {
    return readConstantRate(a, expression, env);
  }
  const kind = expression.callee.text;
  const settings = readSettings(a, kind, schedules[kind], expression, env);
  if (settings === undefined) return undefined;
  const get = (name: string): number => {
    const value: Value = settings.get(name) ?? errorValue;
    return isNumber(value) ? value.value : 0;
  };
  const negative = ["value", "peak", "end"].find((name) => get(name) < 0);
  if (negative !== undefined) return badRate(a, expression, `\`${negative}\` must not be negative`);
  if (kind === "constant") return { kind, value: get("value") };
  const [peak, warmup] = [get("peak"), get("warmup")];
  if (warmup < 0) return badRate(a, expression, "`warmup` is a number of steps, 0 or more");
  if (kind === "warmup") return { kind, peak, warmup };
  const [total, end] = [get("total"), get("end")];
  if (total < warmup)
    return badRate(a, expression, `\`total\` (${total}) must not be less than \`warmup\` (${warmup})`);
  return { kind, peak, warmup, total, end };
}

function badRate(a: Analysis, at: { readonly span: Span }, problem: string): undefined {
  a.report(recipeRange(at, problem));
  return undefined;
}

function readConstantRate(a: Analysis, expression: Expression, env: Env): LearningRate | undefined {
  if (expression.kind === "call" && expression.callee.kind === "name") {
    const known = env.file.find(expression.callee.text, expression.callee.span);
    const isNumberFunction = [
      "min",
      "max",
      "sqrt",
      "exp",
      "log",
      "pow",
      "floor",
      "round",
      "f32",
      "abs",
    ].includes(expression.callee.text);
    if (known === undefined && !isNumberFunction) {
      a.report(unknownRecipe(expression.callee, "learning rate", Object.keys(schedules)));
      return undefined;
    }
  }
  const value = evaluate(a, expression, env);
  if (value.kind === "error") return undefined;
  if (isNumber(value) && value.value >= 0) return { kind: "constant", value: value.value };
  return badRate(
    a,
    expression,
    `a learning rate is a number of 0 or more, or one of ${Object.keys(schedules).join(", ")}`,
  );
}

function readClip(
  a: Analysis,
  expression: Expression | undefined,
  env: Env,
): Recipe["clip"] | "none" | undefined {
  if (expression === undefined) return "none";
  if (expression.kind === "error") return undefined;
  if (expression.kind === "name" && expression.text === "none") return "none";
  if (
    expression.kind !== "call" ||
    expression.callee.kind !== "name" ||
    expression.callee.text !== "global_norm"
  ) {
    a.report(recipeCall(expression.span, "`clip`", ["global_norm(c)", "none"]));
    return undefined;
  }
  const settings = readSettings(a, "global_norm", clipSignatures.get("global_norm") ?? [], expression, env);
  const max = settings?.get("max");
  if (max?.kind !== "float") return undefined;
  if (max.value > 0) return { globalNorm: max.value };
  a.report(recipeRange(expression, "the norm must be above 0"));
  return undefined;
}
