import {
  type ForwardGraph,
  type Graph,
  GraphBuilder,
  invariant,
  type NodeId,
  type Shape,
} from "../graph/index.ts";
import {
  FROZEN,
  GRADIENTS,
  MICRO,
  PARAMETERS,
  type ParameterGroup,
  SEED,
  SKIPPED,
  STEP,
  type StateLayout,
  type StateTensor,
  stateName,
} from "./layout.ts";
import { learningRate } from "./learning-rate.ts";
import { inverseLossScale, lossScale, updateLossScale } from "./loss-scaling.ts";
import { stepScalars, updateGroup } from "./optimizer.ts";
import { randomKeys } from "./random-keys.ts";
import { optimizerOf, type Recipe } from "./recipe.ts";

/**
 * Appends the gradients of a scalar with respect to some nodes; autodiff's `gradients`. Zeros where it does not
 * depend on one.
 */
export type Gradients = (b: GraphBuilder, objective: NodeId, wrt: readonly NodeId[]) => readonly NodeId[];

const training = (label: string) => ({ path: "", at: "", label, pass: "training" });

/**
 * The graph of one training step, or of the last micro-batch of one: forward, backward, clip, optimizer.
 *
 * Where the norm of the gradient is not finite, parameters, slots and `step` stay as they are and `skipped` counts one more
 * (as Optax `apply_if_finite`): one bad batch must not cost the run. A norm beyond the range of an f32 is none.
 *
 * Outputs: `loss.*` and `objective` of this (micro-)batch, `grad_norm` (of the averaged gradient, before clipping),
 * `learning_rate`; all f32 []; `skipped`, i32 [1], this step included; with loss scaling `loss_scale`, f32 [1], from the next step
 * on. Updates: parameters, slots, `step`, `skipped`; with
 * accumulation `gradients.*` and `micro` to zero; with loss scaling `loss_scale` and `good_steps`.
 */
export function buildTrainStep(
  forward: ForwardGraph,
  recipe: Recipe,
  layout: StateLayout,
  gradients: Gradients,
): Graph {
  const b = new GraphBuilder(training("step"));
  const flat = differentiate(b, forward, recipe, layout, gradients);

  const step = scalarState(b, STEP);
  const squares = b.withOrigin({ label: "grad_norm" }, () =>
    flat.map((g) => b.sum(b.mul(g, g), [0])).reduce((a, c) => b.add(a, c), b.constant("f32", 0)),
  );
  const unscale = recipe.lossScaling && inverseLossScale(b);
  const norm = b.withOrigin({ label: "grad_norm" }, () => times(b, b.sqrt(squares), unscale));
  const clipScale = recipe.clip && clipByGlobalNorm(b, norm, recipe.clip.globalNorm);
  const finite = b.withOrigin({ label: "is_finite" }, () => b.isFinite(clipScale ?? norm));
  const factor = clipScale === undefined ? unscale : times(b, clipScale, unscale);
  const rate = b.withOrigin({ label: "learning_rate" }, () => learningRate(b, recipe.optimizer.lr, step));

  const optimizer = optimizerOf(recipe.optimizer);
  b.withOrigin({ label: recipe.optimizer.kind }, () => {
    const scalars = stepScalars(b, optimizer, rate, step);
    for (const [place, group] of trainedGroups(layout).entries()) {
      const isApplied = b.broadcast(finite, [group.size], []);
      const gradient = at(flat, place);
      const clipped =
        factor === undefined ? gradient : b.mul(gradient, b.broadcast(factor, [group.size], []));
      const parameters = groupState(b, PARAMETERS, group);
      const slots = layout.slots.map(({ prefix }) => groupState(b, prefix, group));
      const result = updateGroup(b, optimizer, scalars, group, parameters, slots, clipped);
      layout.slots.forEach(({ prefix }, index) => {
        b.update(
          stateName(prefix, group.index),
          b.select(isApplied, at(result.slots, index), at(slots, index)),
        );
      });
      b.update(stateName(PARAMETERS, group.index), b.select(isApplied, result.parameters, parameters));
      if (recipe.accumulate > 1) b.update(stateName(GRADIENTS, group.index), b.full("f32", 0, [group.size]));
    }
  });
  count(b, STEP, finite);
  const skipped = count(b, SKIPPED, b.not(finite));
  if (recipe.accumulate > 1) b.update(MICRO.name, b.full(MICRO.dtype, 0, MICRO.shape));
  b.output("grad_norm", norm);
  b.output("learning_rate", rate);
  b.output("skipped", skipped);
  if (recipe.lossScaling !== undefined)
    b.output("loss_scale", updateLossScale(b, recipe.lossScaling, finite));
  return b.build();
}

/**
 * The graph of a micro-batch that is not the last of its step: `gradients.* += gradient / accumulate`, `micro += 1`.
 * Outputs: `loss.*` and `objective` of this micro-batch.
 */
export function buildAccumulateStep(
  forward: ForwardGraph,
  recipe: Recipe,
  layout: StateLayout,
  gradients: Gradients,
): Graph {
  invariant(recipe.accumulate > 1, () => "no accumulation in the recipe, so no entry for it");
  const b = new GraphBuilder(training("accumulate"));
  const flat = differentiate(b, forward, recipe, layout, gradients);
  for (const [place, group] of trainedGroups(layout).entries())
    b.update(stateName(GRADIENTS, group.index), at(flat, place));
  count(b, MICRO, b.constant("bool", 1));
  return b.build();
}

/** Every output of a forward graph without random numbers but its heads, with its parameters read from the state. */
export function buildEvaluate(forward: ForwardGraph, layout: StateLayout): Graph {
  return buildForward(forward, layout, (name) => !name.startsWith(headPrefix));
}

const outputPrefix = "output.";
const headPrefix = "head.";

/**
 * Outputs alone, and so only the inputs that they need.
 * @param names outputs and heads by their names in the spec; default: all outputs. A head becomes an output, `output.<name>`.
 */
export function buildEncode(forward: ForwardGraph, layout: StateLayout, names?: readonly string[]): Graph {
  return buildForward(forward, layout, (name) => {
    if (names === undefined) return name.startsWith(outputPrefix);
    return names.some((wanted) => name === outputPrefix + wanted || name === headPrefix + wanted);
  });
}

function buildForward(forward: ForwardGraph, layout: StateLayout, keep: (name: string) => boolean): Graph {
  const b = new GraphBuilder(training("forward"));
  const { ids } = placeLeaves(b, forward, layout, (stream) => {
    throw new Error(`random stream ${stream} in a graph for evaluation`);
  });
  for (const { name, node } of forward.graph.outputs)
    if (keep(name))
      b.output(
        name.startsWith(headPrefix) ? outputPrefix + name.slice(headPrefix.length) : name,
        at(ids, node),
      );
  return b.build();
}

/**
 * Imports the forward graph and appends its gradients, packed: f32 [size] for each group that is trained, already averaged over and
 * added to the micro-batches before; with loss scaling those of the scaled objective. Names the losses and the objective as outputs.
 */
function differentiate(
  b: GraphBuilder,
  forward: ForwardGraph,
  recipe: Recipe,
  layout: StateLayout,
  gradients: Gradients,
): readonly NodeId[] {
  const keyOf = b.withOrigin({ label: "random_keys" }, () =>
    randomKeys(b, forward.randomStreams, {
      seed: scalarState(b, SEED),
      step: scalarState(b, STEP),
      micro: recipe.accumulate > 1 ? scalarState(b, MICRO) : b.constant("i32", 0),
    }),
  );
  const { ids, parameters } = placeLeaves(b, forward, layout, keyOf);

  for (const { name, node } of forward.graph.outputs)
    if (name === "objective" || name.startsWith("loss.")) b.output(name, at(ids, node));
  const objective = forward.graph.outputs.find(({ name }) => name === "objective");
  invariant(objective !== undefined, () => "the forward graph has no output `objective`");
  const value = at(ids, objective.node);
  const averaged = recipe.accumulate > 1 ? b.mul(value, b.constant("f32", 1 / recipe.accumulate)) : value;

  const frozen = new Set(
    layout.groups.flatMap((g) => (g.frozen ? g.parameters.map(({ name }) => name) : [])),
  );
  const used = [...parameters].filter(([name]) => !frozen.has(name));
  const cotangents = gradients(
    b,
    recipe.lossScaling === undefined ? averaged : b.mul(averaged, lossScale(b)),
    used.map(([, view]) => view),
  );
  const gradientOf = new Map(used.map(([name], index) => [name, at(cotangents, index)]));
  return b.withOrigin({ label: "gradients" }, () =>
    trainedGroups(layout).map((group) => {
      const packed = packGradients(b, group, gradientOf);
      return recipe.accumulate > 1 ? b.add(groupState(b, GRADIENTS, group), packed) : packed;
    }),
  );
}

/** Parameters that the objective does not use have a gradient of zero: a gap in the packed tensor. */
function packGradients(
  b: GraphBuilder,
  group: ParameterGroup,
  gradientOf: ReadonlyMap<string, NodeId>,
): NodeId {
  const placed = group.parameters.flatMap(({ name, offset }) => {
    const gradient = gradientOf.get(name);
    return gradient === undefined ? [] : [{ gradient, offset }];
  });
  if (placed.length === 0) return b.full("f32", 0, [group.size]);
  return b.pack(
    placed.map(({ gradient }) => gradient),
    placed.map(({ offset }) => offset),
    group.size,
  );
}

/**
 * Imports a forward graph with its `parameter` leaves read from the state and its `random_key` leaves from `keyOf`.
 * @returns ids of the graph's nodes in the builder, and the views of the parameters that occur in it
 */
function placeLeaves(
  b: GraphBuilder,
  forward: ForwardGraph,
  layout: StateLayout,
  keyOf: (stream: number) => NodeId,
): { readonly ids: readonly NodeId[]; readonly parameters: ReadonlyMap<string, NodeId> } {
  const places = new Map(layout.parameters.map((p) => [p.name, p]));
  const parameters = new Map<string, NodeId>();
  const replace = new Map<NodeId, NodeId>();
  for (const node of forward.graph.nodes) {
    if (node.op === "parameter") {
      const { name, shape } = node.attrs;
      const place = places.get(name);
      invariant(place !== undefined, () => `the parameter ${name} has no place in the state`);
      const group = at(layout.groups, place.group);
      const view = b.withOrigin({ ...node.origin, label: lastName(name) }, () =>
        b.view(groupState(b, group.frozen ? FROZEN : PARAMETERS, group), place.offset, shape),
      );
      parameters.set(name, view);
      replace.set(node.id, view);
    } else if (node.op === "random_key") {
      replace.set(
        node.id,
        b.withOrigin(node.origin, () => keyOf(node.attrs.stream)),
      );
    }
  }
  return { ids: b.import(forward.graph, replace), parameters };
}

/**
 * What to multiply gradients with: 1 where `norm <= limit`, else `limit / norm` (Pascanu 2013, algorithm 1; as Optax
 * `clip_by_global_norm`). A norm that is not finite is handed on, so that the scale alone tells whether the step counts.
 */
function clipByGlobalNorm(b: GraphBuilder, norm: NodeId, limit: number): NodeId {
  const bound = b.constant("f32", limit);
  return b.withOrigin({ label: "clip" }, () => {
    const scale = b.select(b.le(norm, bound), b.constant("f32", 1), b.div(bound, norm));
    return b.select(b.isFinite(norm), scale, norm);
  });
}

/** In the order of `layout.groups`, where they come first. */
function trainedGroups(layout: StateLayout): readonly ParameterGroup[] {
  return layout.groups.filter(({ frozen }) => !frozen);
}

function groupState(b: GraphBuilder, prefix: string, group: ParameterGroup): NodeId {
  return b.withOrigin({ label: prefix }, () => b.state(stateName(prefix, group.index), "f32", [group.size]));
}

/** A state of one element as a scalar. */
function scalarState(b: GraphBuilder, { name, dtype, shape }: StateTensor): NodeId {
  const scalar: Shape = [];
  return b.withOrigin({ label: name }, () => b.view(b.state(name, dtype, shape), 0, scalar));
}

/** Adds 1 to a counter when the step ends, if `condition` (bool []) holds. @returns the new count */
function count(b: GraphBuilder, counter: StateTensor, condition: NodeId): NodeId {
  return b.withOrigin({ label: counter.name }, () => {
    const old = b.state(counter.name, counter.dtype, counter.shape);
    const one = b.cast(b.broadcast(condition, counter.shape, []), counter.dtype);
    const next = b.add(old, one);
    b.update(counter.name, next);
    return next;
  });
}

function times(b: GraphBuilder, x: NodeId, factor: NodeId | undefined): NodeId {
  return factor === undefined ? x : b.mul(x, factor);
}

/** `encoder.query.weight` is `weight` in a kernel. */
function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  invariant(item !== undefined, () => `no item ${index} of ${items.length}`);
  return item;
}
