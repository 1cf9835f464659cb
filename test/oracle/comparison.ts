import { beforeAll, expect, test } from "vitest";
import type { Fixture, FixtureTensor, OracleStep } from "./fixture.ts";
import { type Losses, type Numbers, need, type Recorded } from "./runs.ts";

/** How far a run may be from the oracle. */
export interface Tolerance {
  /** Encoder output, gradients, final parameters: the largest error by the tensor's largest magnitude. */
  readonly tensor: number;
  /** Each loss of each step, relative. */
  readonly loss: number;
}

/**
 * Largest absolute error by the largest magnitude of the tensor, taken to be at least `floor`.
 */
export function relativeError(actual: Numbers, expected: Numbers | Int32Array, floor = 0): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let error = 0;
  let magnitude = floor;
  for (const [index, value] of expected.entries()) {
    const difference = Math.abs((actual[index] ?? Number.NaN) - value);
    error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(error, difference);
    magnitude = Math.max(magnitude, Math.abs(value));
  }
  return error / magnitude;
}

/** Making a program's pipelines takes the software device up to ten seconds, and much more beside other work. */
const runTimeoutMs = 300_000;

/** Declares the tests that hold one run against the fixture. */
export function compareWithOracle(
  fixture: Fixture,
  tolerance: Tolerance,
  run: () => Promise<Recorded>,
): void {
  let recorded: Recorded;
  beforeAll(async () => {
    recorded = await run();
  }, runTimeoutMs);

  test("has the oracle's parameters", () => {
    const shapes = (parameters: Iterable<readonly [string, readonly number[]]>) =>
      [...parameters].map(([name, shape]) => `${name} [${shape.join(", ")}]`).sort();
    expect(shapes(recorded.parameters.map(({ name, shape }) => [name, shape] as const))).toEqual(
      shapes([...fixture.parameters].map(([name, { shape }]) => [name, shape] as const)),
    );
  });

  test("encoder output", () => {
    expect(relativeError(recorded.evaluated.encoded, fixture.encoded.data)).toBeLessThan(tolerance.tensor);
  });

  test.each(losses)("loss $name in evaluation", ({ of, oracle }) => {
    expect(beyond([of(recorded.evaluated)], fixture.steps.slice(0, 1).map(oracle), tolerance.loss)).toEqual(
      [],
    );
  });

  test("every gradient", () => {
    // A gradient that is zero in exact arithmetic (a key's bias) has no magnitude of its own; that of the others is
    // at least 2% of the largest.
    const floor = 1e-3 * largest(fixture.gradients.values());
    const errors = [...fixture.gradients].map(([name, { data }]) => ({
      name,
      error: relativeError(need(recorded.gradients.get(name), name), data, floor),
    }));
    expect(errors.length).toBe(fixture.parameters.size);
    expect(errors.filter(({ error }) => !(error < tolerance.tensor))).toEqual([]);
  });

  test.each(losses)("loss $name of ten steps of the optimizer", ({ of, oracle }) => {
    expect(recorded.steps.length).toBe(10);
    expect(beyond(recorded.steps.map(of), fixture.steps.map(oracle), tolerance.loss)).toEqual([]);
  });

  test("norm of the gradient before clipping, each step", () => {
    // The norm moves more than the loss near a minimum: ten times, in JAX's own float32 against its float64.
    const norms = recorded.steps.map(({ gradientNorm }) => gradientNorm);
    const expected = fixture.steps.map(({ gradient_norm }) => gradient_norm);
    expect(beyond(norms, expected, 10 * tolerance.loss)).toEqual([]);
  });

  test("parameters after ten steps", () => {
    // Adam divides a gradient by its own size: where it is rounding noise around an exact zero, so is the update.
    const noise = 1e-12 * largest(fixture.gradients.values());
    const errors = [...fixture.finals]
      .filter(([name]) => largest([fixture.gradients.get(name)]) > noise)
      .map(([name, { data }]) => ({
        name,
        error: relativeError(need(recorded.finals.get(name), name), data),
      }));
    expect(errors.length).toBeGreaterThan(0.9 * fixture.parameters.size);
    expect(errors.filter(({ error }) => !(error < tolerance.tensor))).toEqual([]);
  });
}

const losses = [
  { name: "mlm", of: ({ mlm }: Losses) => mlm, oracle: ({ mlm }: OracleStep) => mlm },
  { name: "nsp", of: ({ nsp }: Losses) => nsp, oracle: ({ nsp }: OracleStep) => nsp },
  { name: "total", of: ({ objective }: Losses) => objective, oracle: ({ total }: OracleStep) => total },
];

/** The steps whose number is further from the expected one than `tolerance`, relative. */
function beyond(
  actual: readonly number[],
  expected: readonly number[],
  tolerance: number,
): readonly unknown[] {
  return expected.flatMap((wanted, step) => {
    const number = actual[step] ?? Number.NaN;
    const error = Math.abs(number - wanted) / Math.abs(wanted);
    return error < tolerance ? [] : [{ step, actual: number, expected: wanted, error }];
  });
}

function largest(tensors: Iterable<FixtureTensor | undefined>): number {
  let found = 0;
  for (const tensor of tensors)
    for (const value of tensor?.data ?? []) found = Math.max(found, Math.abs(value));
  return found;
}
