import { evaluate, type Graph, type Leaves, type Tensor } from "../../compiler/graph/index.ts";
import { randomNumbers } from "../ops/draw.ts";

const h = 1e-5;

export interface DirectionalDerivatives {
  /** Sum over the parameters of <gradient, direction>. */
  readonly gradient: number;
  /** (f(p + h v) - f(p - h v)) / 2h */
  readonly difference: number;
  /** Sum of the magnitudes that `gradient` adds up. */
  readonly size: number;
  /**
   * How far apart the two may be: 1e-7 of `size`, which leaves room for the truncation h^2 f'''/6, and what rounding
   * in the objective (some 20 ULP of it, and of the terms around 1 that may cancel in it) becomes divided by 2h.
   */
  readonly tolerance: number;
}

/**
 * Compares gradients with central differences along a drawn direction of some parameters at once, in float64.
 * @param graph outputs `objective` (f32 []) and `gradient.<parameter>` for each of `wrt`
 */
export function directionalDerivatives(
  graph: Graph,
  leaves: Leaves,
  wrt: readonly string[],
  seed: number,
): DirectionalDerivatives {
  const random = randomNumbers(seed);
  const parameters = leaves.parameters ?? new Map<string, Tensor>();
  const { outputs } = evaluate(graph, leaves);
  const directions = new Map<string, Float64Array>();
  let gradient = 0;
  let size = 0;
  for (const name of wrt) {
    const [value, slope] = [parameters.get(name), outputs.get(`gradient.${name}`)];
    if (value === undefined || slope === undefined) throw new Error(`no parameter or gradient ${name}`);
    const direction = Float64Array.from(value.data, () => 2 * random() - 1);
    directions.set(name, direction);
    direction.forEach((v, index) => {
      gradient += slope.data[index]! * v;
      size += Math.abs(slope.data[index]! * v);
    });
  }
  const objectiveAt = (step: number): number => {
    const moved = new Map(parameters);
    for (const [name, direction] of directions) {
      const value = parameters.get(name)!;
      moved.set(name, { ...value, data: Float64Array.from(value.data, (x, i) => x + step * direction[i]!) });
    }
    return evaluate(graph, { ...leaves, parameters: moved }).outputs.get("objective")!.data[0]!;
  };
  const [above, below] = [objectiveAt(h), objectiveAt(-h)];
  const rounding = (4e-15 * Math.max(1, Math.abs(above), Math.abs(below))) / (2 * h);
  return { gradient, difference: (above - below) / (2 * h), size, tolerance: 1e-7 * size + rounding };
}
