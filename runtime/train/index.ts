// In: a Program, an open device, batches, and a checkpoint to go on from.
// Out: a trainer (steps with their losses, evaluation, checkpoints) and an encoder.
// Assumes: batches are a function of their number (`BatchSource`); the program advances its own `step`.
// Guarantees: a resumed run is bitwise the run that was not interrupted; losses are finite or the run stops with the reason.
// Start reading at: trainer.ts.
export { type ClassificationScores, type ConfusionCounts, greatest, scoresOf } from "./confusion.ts";
export {
  createEncoder,
  createEvaluator,
  type EncodedTensor,
  type Encoder,
  type Evaluator,
} from "./encoder.ts";
export type { EvaluationReport, StepReport } from "./report.ts";
export type { InitReport } from "./state.ts";
export { createTrainer, type Trainer, type TrainerOptions } from "./trainer.ts";
