// In: a Program and an open device.
// Out: an executor that runs the program's entries, one submit each, and brings their outputs back.
// Assumes: the program was compiled for this device or one with smaller limits.
// Guarantees: runs are done in order and may overlap; no device error is swallowed; kernels are compiled once.
// Start reading at: executor.ts.
export {
  createExecutor,
  type DispatchTime,
  type Executor,
  type ExecutorCounters,
  type ExecutorOptions,
  type RunOptions,
} from "./executor.ts";
export { asTyped, type InputFields, type Outputs, type OutputTensor, type TensorData } from "./tensors.ts";
