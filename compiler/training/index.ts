// In: a forward graph for training and one for evaluation, a recipe, the device's buffer limits.
// Out: the layout of the state buffers; the graphs of the entries train, accumulate, evaluate and encode.
// Assumes: the forward graph's objective is a scalar; `gradients` appends cotangents to a builder (autodiff's do).
// Guarantees: no `parameter` or `random_key` leaf is left; one optimizer expression a group of parameters.
// Start reading at: step.ts, then layout.ts and optimizer.ts.
export {
  type LayoutLimits,
  layoutParameters,
  type ParameterGroup,
  ParameterTooLargeError,
  type PlacedParameter,
  type StateLayout,
  type StateTensor,
} from "./layout.ts";
export { defaultLossScaling } from "./loss-scaling.ts";
export type { LearningRate, OptimizerRecipe, Recipe } from "./recipe.ts";
export { buildAccumulateStep, buildEncode, buildEvaluate, buildTrainStep, type Gradients } from "./step.ts";
