import { evaluate, type Graph, type Leaves, type Tensor } from "../../compiler/graph/index.ts";
import { randomNumbers } from "../ops/draw.ts";

const h = 1e-5;

export interface DirectionalDerivatives {
  /** sum over parameters of <gradient, direction> */
  readonly gradient: number;
  /** (f(p + h v) - f(p - h v)) / 2h */
  readonly difference: number;
  /** Sum of magnitudes of what was added up: the scale that rounding and cancellation are measured on. */
  readonly size: number;
}

/**
 * Compares gradients with central differences along a drawn direction of all parameters at once, in float64.
 * @param graph outputs `objective` (f32 []) and `gradient.<parameter>` for every parameter
 */
export function directionalDerivatives(graph: Graph, leaves: Leaves, seed: number): DirectionalDerivatives {
  const random = randomNumbers(seed);
  const parameters = leaves.parameters ?? new Map<string, Tensor>();
  const { outputs } = evaluate(graph, leaves);
  const directions = new Map<string, Float64Array>();
  let gradient = 0;
  let size = 0;
  for (const [name, { data }] of parameters) {
    const slope = outputs.get(`gradient.${name}`);
    if (slope === undefined) continue;
    const direction = Float64Array.from(data, () => 2 * random() - 1);
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
  size = Math.max(size, Math.abs(above), Math.abs(below));
  return { gradient, difference: (above - below) / (2 * h), size };
}
