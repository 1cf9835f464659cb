import type { LearningRate, OptimizerRecipe } from "../../compiler/training/index.ts";

/** Optimizers and schedules once more, as loops over numbers, from the papers and from Optax's documentation. */

export function referenceRate(rate: LearningRate, s: number): number {
  if (rate.kind === "constant") return rate.value;
  if (rate.warmup > 0 && s < rate.warmup) return (rate.peak * (s + 1)) / rate.warmup;
  if (rate.kind === "warmup") return rate.peak;
  const done = rate.total === rate.warmup ? 1 : Math.min(1, (s - rate.warmup) / (rate.total - rate.warmup));
  const left = rate.kind === "warmup_linear" ? 1 - done : (1 + Math.cos(Math.PI * done)) / 2;
  return rate.end + (rate.peak - rate.end) * left;
}

type Vectors = Record<string, number[]>;

export class ReferenceOptimizer {
  readonly first: Vectors = {};
  readonly second: Vectors = {};
  #steps = 0;

  constructor(
    readonly recipe: OptimizerRecipe,
    readonly decays: (name: string) => boolean,
    readonly clipNorm?: number,
    readonly rateOf: (name: string) => number = () => 1,
    readonly isFrozen: (name: string) => boolean = () => false,
  ) {}

  /** @returns the norm before clipping and the rate */
  step(
    parameters: Vectors,
    gradients: Readonly<Record<string, readonly number[]>>,
  ): { norm: number; rate: number } {
    const trained = Object.entries(parameters).filter(([name]) => !this.isFrozen(name));
    const norm = Math.hypot(...trained.flatMap(([name]) => gradients[name] ?? []));
    const scale = this.clipNorm !== undefined && norm > this.clipNorm ? this.clipNorm / norm : 1;
    const stepRate = referenceRate(this.recipe.lr, this.#steps);
    const t = ++this.#steps;
    const { kind, momentum = 0, nesterov, beta1 = 0, beta2 = 0, eps = 0, weightDecay = 0 } = this.recipe;
    for (const [name, values] of trained) {
      const rate = stepRate * this.rateOf(name);
      this.first[name] ??= values.map(() => 0);
      this.second[name] ??= values.map(() => 0);
      const [m, v] = [this.first[name], this.second[name]];
      values.forEach((value, i) => {
        const g = gradients[name]![i]! * scale;
        if (kind === "sgd") values[i] = value - rate * g;
        else if (kind === "momentum") {
          m[i] = momentum * m[i]! + g;
          values[i] = value - rate * (nesterov ? g + momentum * m[i]! : m[i]!);
        } else {
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          const update = m[i]! / (1 - beta1 ** t) / (Math.sqrt(v[i]! / (1 - beta2 ** t)) + eps);
          const decay = kind === "adamw" && this.decays(name) ? weightDecay * value : 0;
          values[i] = value - rate * (update + decay);
        }
      });
    }
    return { norm, rate: stepRate };
  }
}
