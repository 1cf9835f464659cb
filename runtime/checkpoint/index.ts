// In: a run's state as tensors that can be read in pieces, and what belongs to it (step, seed, vocabulary, spec).
// Out: a safetensors file, and the same back from one.
// Assumes: Node's file system (its modules are loaded when a function is called).
// Guarantees: a save is all or nothing; a file that was cut, changed or is of another kind is refused by name.
// Start reading at: checkpoint.ts.
export { type FolderTarget, writeFolderAtomically } from "./atomic-folder.ts";
export {
  type Checkpoint,
  type CheckpointContents,
  loadCheckpoint,
  saveCheckpoint,
  slotTensorName,
  stateTensorName,
} from "./checkpoint.ts";
export { encodeHeader, parseHeader, type SafetensorsDType, type TensorInfo } from "./safetensors.ts";
export {
  readTensorFile,
  type StoredTensor,
  type TensorFile,
  verifyChecksum,
  writePlainTensorFile,
  writeTensorFile,
} from "./tensor-file.ts";
