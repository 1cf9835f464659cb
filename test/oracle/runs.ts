import type { Fixture } from "./fixture.ts";

/** One way of training a spec: the float64 reference, or a program on a device. */
export interface Run {
  /** Parameters as the model has them. */
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Sets the seed (u32) of the run's random numbers; 0 before. */
  seed(value: number): void;
  /** Losses and encoder output without dropout and without changing anything. */
  evaluate(): Promise<Evaluated>;
  /** One training step; losses before its update, norm of the gradient before clipping. */
  step(): Promise<Losses & { readonly gradientNorm: number }>;
  /** A parameter's value, or its entry in a slot of the optimizer (`adam.m`). */
  read(parameter: string, slot?: string): Promise<Numbers>;
}

export type Numbers = Float64Array | Float32Array;

export interface Losses {
  readonly mlm: number;
  readonly nsp: number;
  readonly objective: number;
}

export interface Evaluated extends Losses {
  readonly encoded: Numbers;
}

/** What a run of the fixture's ten steps gave. */
export interface Recorded {
  readonly parameters: Run["parameters"];
  readonly evaluated: Evaluated;
  readonly gradients: ReadonlyMap<string, Numbers>;
  readonly steps: readonly (Losses & { readonly gradientNorm: number })[];
  readonly finals: ReadonlyMap<string, Numbers>;
}

/**
 * Runs the fixture's steps. Gradients are read from Adam's first moment, which after one step is (1 - beta1) times the
 * clipped gradient: they are those that the very training step computes, on a device too.
 */
export async function record(run: Run, fixture: Fixture): Promise<Recorded> {
  const evaluated = await run.evaluate();
  const first = await run.step();
  const clip = fixture.optimizer.clip;
  const clipScale = clip === undefined ? 1 : Math.min(1, clip / first.gradientNorm);
  const gradients = new Map<string, Numbers>();
  for (const name of fixture.gradients.keys()) {
    const moment = await run.read(name, "adam.m");
    gradients.set(
      name,
      moment.map((value: number) => value / (1 - fixture.optimizer.beta1) / clipScale),
    );
  }
  const steps = [first];
  while (steps.length < fixture.steps.length) steps.push(await run.step());
  const finals = new Map<string, Numbers>();
  for (const name of fixture.finals.keys()) finals.set(name, await run.read(name));
  return { parameters: run.parameters, evaluated, gradients, steps, finals };
}

export function lossesFrom(scalar: (output: string) => number): Losses {
  return { mlm: scalar("loss.mlm"), nsp: scalar("loss.nsp"), objective: scalar("objective") };
}

/** @throws Error saying what is missing */
export function need<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`missing: ${what}`);
  return value;
}
