import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  type ForwardGraph,
  type Graph,
  type Tensor,
  tensor,
  zeros,
} from "../../compiler/graph/index.ts";
import {
  buildEvaluate,
  buildTrainStep,
  layoutParameters,
  type PlacedParameter,
  type Recipe,
} from "../../compiler/training/index.ts";
import type { Fixture } from "./fixture.ts";
import { type Evaluated, lossesFrom, need, type Run } from "./runs.ts";

export interface ReferenceOptions {
  /** The state is split into groups of at most so many bytes. */
  readonly maxBufferBytes: number;
  /** Applied to the graphs before they are evaluated. */
  readonly rewrite: (graph: Graph) => Graph;
}

/**
 * Trains in float64 with the graph's reference evaluator: elaborate, autodiff and training without any kernel.
 */
export function referenceRun(
  models: { readonly training: ForwardGraph; readonly evaluation: ForwardGraph },
  recipe: Recipe,
  fixture: Fixture,
  options: ReferenceOptions,
): Run {
  const { maxBufferBytes, rewrite } = options;
  const layout = layoutParameters(models.training.parameters, recipe, {
    maxBufferBytes,
    alignmentBytes: 256,
  });
  const places = new Map(layout.parameters.map((place) => [place.name, place]));
  const states = new Map(layout.states.map((state) => [state.name, zeros(state)]));
  for (const [name, { data }] of fixture.parameters) {
    const place = need(places.get(name), `the model has no parameter ${name}`);
    need(states.get(place.buffer), place.buffer).data.set(data, place.offset);
  }
  const trainStep = rewrite(buildTrainStep(models.training, recipe, layout, gradients));
  const evaluation = rewrite(buildEvaluate(models.evaluation, layout));

  return {
    parameters: layout.parameters,
    seed(value) {
      need(states.get("seed"), "state seed").data[0] = value;
    },
    async evaluate(): Promise<Evaluated> {
      const { outputs } = evaluate(evaluation, { inputs: inputsOf(evaluation, fixture), states });
      const encoded = need(outputs.get("output.encoded"), "output.encoded").data;
      return { ...lossesFrom((name) => scalar(outputs, name)), encoded: Float64Array.from(encoded) };
    },
    async step() {
      const { outputs, updates } = evaluate(trainStep, { inputs: inputsOf(trainStep, fixture), states });
      for (const [name, value] of updates) states.set(name, value);
      return { ...lossesFrom((name) => scalar(outputs, name)), gradientNorm: scalar(outputs, "grad_norm") };
    },
    async read(parameter: string, slot?: string) {
      const place = need(places.get(parameter), parameter);
      const { data } = need(states.get(bufferOf(place, slot)), `state of ${parameter}`);
      return Float64Array.from(data.subarray(place.offset, place.offset + place.elementCount));
    },
  };
}

function bufferOf(place: PlacedParameter, slot: string | undefined): string {
  return slot === undefined ? place.buffer : need(place.slots[slot], `slot ${slot} of ${place.name}`);
}

function inputsOf(graph: Graph, fixture: Fixture): ReadonlyMap<string, Tensor> {
  return new Map(
    graph.nodes.flatMap((node) => {
      if (node.op !== "input") return [];
      const { name } = node.attrs;
      return [[name, tensor(node.type, need(fixture.batch[name], `the fixture's batch has no ${name}`))]];
    }),
  );
}

function scalar(outputs: ReadonlyMap<string, Tensor>, name: string): number {
  return need(outputs.get(name)?.data[0], `output ${name}`);
}
