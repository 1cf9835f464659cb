// In: Programs (made by the compiler or read from a file), corpora, checkpoints.
// Out: training runs, checkpoints, encoded text, on any WebGPU device.
// Assumes: nothing of the compiler but the type of a Program.
// Guarantees: every error a person can cause or meet is a `KilnError` that says whose it is and what to do.
// Start reading at: train/trainer.ts.
export {
  type Checkpoint,
  loadCheckpoint,
  readTensorFile,
  type StoredTensor,
  saveCheckpoint,
  writeTensorFile,
} from "./checkpoint/index.ts";
export type { Batch, BatchSource } from "./data/index.ts";
export {
  defaultGpuProfile,
  type KilnDevice,
  type OpenOptions,
  openDevice,
  softwareProfile,
} from "./device/index.ts";
export { KilnError, type KilnErrorKind } from "./errors.ts";
export {
  createExecutor,
  type DispatchTime,
  type Executor,
  type ExecutorCounters,
  type InputFields,
  type Outputs,
  type OutputTensor,
} from "./execute/index.ts";
export {
  createEncoder,
  createTrainer,
  type EncodedTensor,
  type Encoder,
  type EvaluationReport,
  type StepReport,
  type Trainer,
  type TrainerOptions,
} from "./train/index.ts";
