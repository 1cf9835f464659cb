import type { Diagnostic } from "../diagnostics/index.ts";
import type { Instruction, TypedModel } from "../semantics/index.ts";
import { sizeNotAnInput, sizesNotIndependent, tooManySizes } from "./errors.ts";
import { inputShapes, type LiveModel, liveModel } from "./live.ts";
import type { DynamicSize, FixedSize } from "./model.ts";
import { type OnnxSignature, roleOf } from "./signature.ts";
import { gridValues } from "./size.ts";

/** Analyses the spec with some settings of its `data` line overridden. */
export type AnalyzeWith = (data: Readonly<Record<string, number>>) => {
  /** Absent if the spec is refused so. */
  readonly model: TypedModel | undefined;
  readonly diagnostics: readonly Diagnostic[];
};

/** A size of the data that may vary, with the other settings that must then be equal to it. */
interface Variable {
  readonly settings: readonly [string, ...string[]];
  /** Values that the spec accepts, that of the spec first where it is above 1; one more than the grid needs. */
  readonly values: readonly number[];
}

/** The model at every point of a grid of sizes: what does not change between them is the model's form. */
export interface SampledModel {
  readonly variables: readonly DynamicSize[];
  readonly fixed: readonly FixedSize[];
  readonly grid: readonly (readonly number[])[];
  /** At the points of the grid, the last variable fastest. */
  readonly samples: readonly LiveModel[];
  /** At points off the grid, which no fit has seen, near it and far away. */
  readonly witnesses: readonly { readonly point: readonly number[]; readonly model: LiveModel }[];
}

/** As many points as three variables have take about a second for a BERT. */
const mostVariables = 3;
/** No text is longer, and no search goes on from here. */
const largestTried = 2 ** 16;

/**
 * Finds the sizes of the `data` line that may vary, by trying: a setting that changes the shape of an input which is read, and of which
 * the spec accepts several values. Every size of the model is then sampled.
 * @param base the model as the spec says
 * @param wanted names of outputs and heads, all known
 */
export function sampleSizes(
  analyze: AnalyzeWith,
  base: TypedModel,
  wanted: readonly string[],
  signature: OnnxSignature,
  file: string,
): SampledModel | Diagnostic {
  const tried = new Map<string, ReturnType<AnalyzeWith>>();
  const at = (data: Readonly<Record<string, number>>): ReturnType<AnalyzeWith> => {
    const key = JSON.stringify(data);
    const found = tried.get(key) ?? analyze(data);
    tried.set(key, found);
    return found;
  };
  const live = (model: TypedModel): LiveModel => liveModel(model, valuesOf(model, wanted));
  const read = inputShapes(live(base));
  const changes = (model: TypedModel): readonly string[] =>
    [...inputShapes(live(model))].flatMap(([name, shape]) =>
      shape.flatMap((size, axis) => (size === read.get(name)?.[axis] ? [] : [`${name} ${axis}`])),
    );
  const found: { readonly variable: Variable; readonly axes: readonly string[] }[] = [];
  const fixed: FixedSize[] = [];
  for (const [setting, value] of Object.entries(base.data.settings)) {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) continue;
    const isSize = [...read.values()].some((shape) => shape.includes(value));
    const accepted: number[] = [];
    let axes: readonly string[] = [];
    let reason = "";
    for (const candidate of candidates(value)) {
      const { model, diagnostics } = at(candidate === value ? {} : { [setting]: candidate });
      if (model === undefined) {
        reason ||= diagnostics[0]?.message ?? "it is refused";
        continue;
      }
      if (candidate !== value) {
        axes = changes(model);
        if (axes.length === 0) {
          // No size of an input. A threshold or a vocabulary changes nothing else either.
          const lost = firstDifference(live(base), live(model));
          if (lost !== undefined) return sizeNotAnInput(lost.origin.span, setting);
          break;
        }
      }
      accepted.push(candidate);
      if (accepted.length > gridValues) break;
    }
    if (accepted.length > gridValues && axes.length > 0) {
      found.push({ variable: { settings: [setting], values: accepted }, axes });
    } else if (isSize && reason !== "") fixed.push({ setting, value, reason });
  }
  const variables = tie(found, base, read, signature);
  const settings = variables.map(({ settings: [first] }) => first);
  if (variables.length > mostVariables) return tooManySizes(file, settings, mostVariables);
  const grid = variables.map(({ values }) => values.slice(0, gridValues));
  const samples: LiveModel[] = [];
  for (const point of pointsOf(grid)) {
    const { model, diagnostics } = at(overrides(variables, point));
    if (model === undefined) return sizesNotIndependent(settings, diagnostics[0]);
    samples.push(live(model));
  }
  const sizes = variables.map((variable, index) => ({
    setting: variable.settings[0],
    name: signature.sizes[variable.settings[0]] ?? variable.settings[0],
    ...bounds(variables, index, at),
  }));
  const witnesses = witnessPoints(variables, sizes).flatMap((point) => {
    const { model } = at(overrides(variables, point));
    return model === undefined ? [] : [{ point, model: live(model) }];
  });
  return { variables: sizes, fixed, grid, samples, witnesses };
}

/** Near the grid, at the smallest sizes, half-way there, and at large ones: a `min(T, 16)` is seen wherever the spec's own T is. */
function witnessPoints(
  variables: readonly Variable[],
  sizes: readonly DynamicSize[],
): readonly (readonly number[])[] {
  const points = variables.map(({ values }, v) => {
    const { least = 1, most = largestTried } = sizes[v] ?? {};
    const [smallest, largest] = [Math.min(...values), Math.max(...values)];
    return [
      values[gridValues] ?? smallest,
      least,
      Math.floor((least + smallest) / 2),
      Math.min(most, 2 * largest),
      Math.min(most, 8 * largest),
    ];
  });
  return (points[0] ?? []).map((_, i) => points.map((point) => point[i] ?? 1));
}

function firstDifference(a: LiveModel, b: LiveModel): Instruction | undefined {
  const text = (of: Instruction | undefined): string => JSON.stringify({ ...of, origin: undefined });
  return a.instructions.find((instruction, id) => text(instruction) !== text(b.instructions[id]));
}

/** The values asked for, in their order. */
export function valuesOf(model: TypedModel, wanted: readonly string[]): readonly number[] {
  const named = [...model.outputs, ...model.heads];
  return wanted.flatMap((name) => named.find((known) => known.name === name)?.value ?? []);
}

/** Values to try for a size: near the spec's first, then those that divisions by small numbers leave whole. */
function candidates(value: number): readonly number[] {
  const near = [value, value - 1, value - 2, value - 3, value + 1, value + 2, value + 3];
  const divided = [2, 4, 8].map((n) => value / n);
  const multiplied = [2, 3, 4, 1.5].map((n) => value * n);
  // 1 is left out: it repeats where another size would have to fit.
  return [...new Set([...near, ...divided, ...multiplied])].filter((n) => Number.isInteger(n) && n > 1);
}

/** Makes one variable of two, where an input counts the elements of another one. */
function tie(
  found: readonly { readonly variable: Variable; readonly axes: readonly string[] }[],
  base: TypedModel,
  read: ReadonlyMap<string, readonly number[]>,
  signature: OnnxSignature,
): readonly Variable[] {
  const leaders = new Map<number, number>();
  for (const name of read.keys()) {
    const role = roleOf(signature, base, name, read);
    if (role?.kind !== "every") continue;
    const [own, other] = [`${name} 1`, `${role.like} 1`].map((axis) =>
      found.findIndex(({ axes }) => axes.includes(axis)),
    );
    if (own !== undefined && other !== undefined && own >= 0 && other >= 0 && own !== other)
      leaders.set(own, other);
  }
  return found.flatMap(({ variable }, index): Variable[] => {
    if (leaders.has(index)) return [];
    const followers = found.flatMap(({ variable: v }, i) => (leaders.get(i) === index ? v.settings : []));
    return [{ ...variable, settings: [variable.settings[0], ...followers] }];
  });
}

function overrides(variables: readonly Variable[], point: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    variables.flatMap(({ settings }, v) => settings.map((setting) => [setting, point[v] ?? 0])),
  );
}

function pointsOf(grid: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return grid.reduce<readonly (readonly number[])[]>(
    (points, values) => points.flatMap((point) => values.map((value) => [...point, value])),
    [[]],
  );
}

/** The least and the largest size that the spec accepts, the other sizes as small as may be. */
function bounds(
  variables: readonly Variable[],
  index: number,
  at: AnalyzeWith,
): Pick<DynamicSize, "least" | "most"> {
  const values = variables[index]?.values ?? [];
  const accepts = (size: number): boolean | "too large" => {
    const point = variables.map((other, v) => (v === index ? size : Math.min(...other.values)));
    const { model, diagnostics } = at(overrides(variables, point));
    // The compiler's own limit for a tensor is none of the model.
    return model !== undefined || (diagnostics.some((d) => d.code === "tensor-too-large") && "too large");
  };
  const edge = (good: number, bad: number): number => {
    let [inside, outside] = [good, bad];
    while (Math.abs(outside - inside) > 1) {
      const middle = Math.floor((inside + outside) / 2);
      if (accepts(middle) === false) outside = middle;
      else inside = middle;
    }
    return inside;
  };
  const [smallest, largest] = [Math.min(...values), Math.max(...values)];
  const least = accepts(1) !== false ? 1 : edge(smallest, 1);
  if (accepts(largest + 1) === false) return { least, most: largest };
  let [good, next] = [largest, largest * 8];
  for (; next <= largestTried; next *= 8) {
    const accepted = accepts(next);
    if (accepted === "too large") return { least };
    if (!accepted) return { least, most: edge(good, next) };
    good = next;
  }
  return { least };
}
