/**
 * A size as a polynomial in the sizes that vary: terms with whole coefficients, none of them 0, in ascending order of their
 * exponents. `2 * B * T` is one term; a constant has exponents 0, the size 0 has no term.
 */
export type Size = readonly SizeTerm[];

export interface SizeTerm {
  readonly coefficient: number;
  /** One exponent a variable. */
  readonly powers: readonly number[];
}

/** Largest exponent that is looked for: scores are [T, T]. */
const largestPower = 2;

/** Values a variable takes on the grid that `fitSize` reads. */
export const gridValues = largestPower + 1;

export function constantSize(value: number, variables: number): Size {
  return value === 0 ? [] : [{ coefficient: value, powers: new Array<number>(variables).fill(0) }];
}

/** The number, where a size does not vary. */
export function constantOf(size: Size): number | undefined {
  const [term, second] = size;
  if (term === undefined) return 0;
  return second === undefined && term.powers.every((power) => power === 0) ? term.coefficient : undefined;
}

/** The variable that a size is, by itself. */
export function variableOf(size: Size): number | undefined {
  const [term, second] = size;
  if (term === undefined || second !== undefined || term.coefficient !== 1) return undefined;
  const degree = term.powers.reduce((n, power) => n + power, 0);
  return degree === 1 ? term.powers.indexOf(1) : undefined;
}

export function sameSize(a: Size, b: Size): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export function sameSizes(a: readonly Size[], b: readonly Size[]): boolean {
  return a.length === b.length && a.every((size, axis) => sameSize(size, b[axis] ?? []));
}

export function evaluateSize(size: Size, values: readonly number[]): number {
  return size.reduce(
    (sum, { coefficient, powers }) =>
      sum + powers.reduce((product, power, v) => product * (values[v] ?? 1) ** power, coefficient),
    0,
  );
}

/** `2*batch*sequence+1` */
export function formatSize(size: Size, names: readonly string[]): string {
  const terms = size.map(({ coefficient, powers }) => {
    const factors = powers.flatMap((power, v) => new Array<string>(power).fill(names[v] ?? `size${v}`));
    const shown = Math.abs(coefficient) === 1 && factors.length > 0 ? [] : [String(Math.abs(coefficient))];
    return { sign: coefficient < 0 ? "-" : "+", text: [...shown, ...factors].join("*") };
  });
  // The largest powers first, as one writes them.
  const text = terms
    .toReversed()
    .map(({ sign, text }) => sign + text)
    .join("");
  return text === "" ? "0" : text.replace(/^\+/, "");
}

/**
 * The polynomial through a full grid of samples, powers up to 2 of every variable.
 * @param grid `gridValues` distinct values of every variable
 * @param samples at every point of the grid, the last variable fastest
 * @returns undefined where its coefficients are no whole numbers, or too large to be exact
 */
export function fitSize(grid: readonly (readonly number[])[], samples: readonly number[]): Size | undefined {
  if (samples.every((sample) => sample === samples[0])) return constantSize(samples[0] ?? 0, grid.length);
  let values = samples;
  for (const [variable, points] of grid.entries()) {
    const stride = gridValues ** (grid.length - 1 - variable);
    const next = [...values];
    for (let start = 0; start < values.length; start++) {
      if (Math.floor(start / stride) % gridValues !== 0) continue;
      const line = [0, 1, 2].map((i) => values[start + i * stride] ?? 0);
      for (const [i, coefficient] of quadraticThrough(points, line).entries())
        next[start + i * stride] = coefficient;
    }
    values = next;
  }
  const size = values.flatMap((value, index): SizeTerm[] => {
    const coefficient = Math.round(value);
    const powers = grid.map((_, v) => Math.floor(index / gridValues ** (grid.length - 1 - v)) % gridValues);
    return coefficient === 0 ? [] : [{ coefficient, powers }];
  });
  const exact = samples.every((sample, index) => {
    const point = grid.map(
      (points, v) => points[Math.floor(index / gridValues ** (grid.length - 1 - v)) % gridValues] ?? 0,
    );
    return evaluateSize(size, point) === sample;
  });
  return exact ? size : undefined;
}

/** Coefficients of 1, x and x² of the parabola through three points, by Newton's divided differences. */
function quadraticThrough(points: readonly number[], values: readonly number[]): readonly number[] {
  const [x0 = 0, x1 = 0, x2 = 0] = points;
  const [f0 = 0, f1 = 0, f2 = 0] = values;
  const first = (f1 - f0) / (x1 - x0);
  const second = ((f2 - f1) / (x2 - x1) - first) / (x2 - x0);
  return [f0 - first * x0 + second * x0 * x1, first - second * (x0 + x1), second];
}
