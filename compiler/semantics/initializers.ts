import type { Initializer, Shape } from "../program/index.ts";
import type { Expression } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { initializerRange, notInitializer, unknownInitializer } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { readSettings, type SettingSpec } from "./recipe-calls.ts";

interface InitializerRule {
  readonly settings: readonly SettingSpec[];
  make(settings: ReadonlyMap<string, number>, shape: Shape): Initializer | string;
}

/** Fans of a matrix [in, out] are its axes; leading axes count as a receptive field; a vector's fans are its length. */
function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2) {
    const size = shape[0] ?? 1;
    return { fanIn: size, fanOut: size };
  }
  const field = shape.slice(0, -2).reduce((n, size) => n * size, 1);
  return { fanIn: field * (shape.at(-2) ?? 1), fanOut: field * (shape.at(-1) ?? 1) };
}

function uniformOf(variance: number): Initializer {
  const limit = Math.sqrt(3 * variance);
  return { kind: "uniform", low: -limit, high: limit };
}

function normalOf(variance: number): Initializer {
  return { kind: "normal", mean: 0, std: Math.sqrt(variance) };
}

const number = (name: string, fallback?: number): SettingSpec =>
  fallback === undefined
    ? { name, type: "float" }
    : { name, type: "float", fallback: { kind: "float", value: fallback } };

const rules: ReadonlyMap<string, InitializerRule> = new Map<string, InitializerRule>([
  ["zeros", { settings: [], make: () => ({ kind: "constant", value: 0 }) }],
  ["ones", { settings: [], make: () => ({ kind: "constant", value: 1 }) }],
  ["constant", { settings: [number("value")], make: (s) => ({ kind: "constant", value: get(s, "value") }) }],
  [
    "normal",
    {
      settings: [number("std"), number("mean", 0)],
      make: (s) => positive("std", s) ?? { kind: "normal", mean: get(s, "mean"), std: get(s, "std") },
    },
  ],
  [
    "truncated_normal",
    {
      settings: [number("std"), number("mean", 0), number("cut", 2)],
      make: (s) =>
        positive("std", s) ??
        positive("cut", s) ?? {
          kind: "truncated_normal",
          mean: get(s, "mean"),
          std: get(s, "std"),
          cut: get(s, "cut"),
        },
    },
  ],
  [
    "uniform",
    {
      settings: [number("low"), number("high")],
      make: (s) =>
        get(s, "low") <= get(s, "high")
          ? { kind: "uniform", low: get(s, "low"), high: get(s, "high") }
          : "`low` must not be above `high`",
    },
  ],
  // Glorot and Bengio 2010: variance 2 / (in + out). LeCun 1998: 1 / in. He et al. 2015: 2 / in.
  ["glorot_uniform", byFans((f) => uniformOf(2 / (f.fanIn + f.fanOut)))],
  ["glorot_normal", byFans((f) => normalOf(2 / (f.fanIn + f.fanOut)))],
  ["lecun_uniform", byFans((f) => uniformOf(1 / f.fanIn))],
  ["lecun_normal", byFans((f) => normalOf(1 / f.fanIn))],
  ["he_uniform", byFans((f) => uniformOf(2 / f.fanIn))],
  ["he_normal", byFans((f) => normalOf(2 / f.fanIn))],
]);

function byFans(make: (f: ReturnType<typeof fans>) => Initializer): InitializerRule {
  return { settings: [], make: (_, shape) => make(fans(shape)) };
}

function get(settings: ReadonlyMap<string, number>, name: string): number {
  return settings.get(name) ?? 0;
}

function positive(name: string, settings: ReadonlyMap<string, number>): string | undefined {
  return get(settings, name) > 0 ? undefined : `\`${name}\` must be above 0`;
}

export const initializerNames: readonly string[] = [...rules.keys()];

/** What each initialiser takes. */
export const initializerSettings: ReadonlyMap<string, readonly SettingSpec[]> = new Map(
  [...rules].map(([name, rule]) => [name, rule.settings]),
);

export function isInitializer(name: string): boolean {
  return rules.has(name);
}

/** The distribution a parameter of this shape starts from, in final numbers; undefined where the text is none. */
export function evaluateInitializer(
  a: Analysis,
  expression: Expression,
  shape: Shape,
  env: Env,
): Initializer | undefined {
  if (expression.kind === "error") return undefined;
  if (expression.kind === "conditional") {
    const condition = evaluate(a, expression.condition, env);
    if (condition.kind === "bool") {
      return evaluateInitializer(a, condition.value ? expression.then : expression.otherwise, shape, env);
    }
  }
  if (expression.kind !== "call" || expression.callee.kind !== "name") {
    a.report(notInitializer(expression.span));
    return undefined;
  }
  const name = expression.callee.text;
  const rule = rules.get(name);
  if (rule === undefined) {
    a.report(unknownInitializer(expression.callee, initializerNames));
    return undefined;
  }
  const settings = readSettings(a, name, rule.settings, expression, env);
  if (settings === undefined) return undefined;
  const numbers = new Map<string, number>();
  for (const [key, value] of settings) if (value.kind === "float") numbers.set(key, value.value);
  const made = rule.make(numbers, shape);
  if (typeof made !== "string") return made;
  a.report(initializerRange(expression.span, name, made));
  return undefined;
}
