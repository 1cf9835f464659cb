// In: a run's state as tensors that can be read in pieces, and what belongs to it (step, seed, vocabulary, spec).
// Out: a safetensors file, and the same back from one.
// Assumes: for paths Node's file system (its modules are loaded when a function is called); for sources and sinks nothing.
// Guarantees: a save is all or nothing; a file that was cut, changed or is of another kind is refused by name.
// Start reading at: checkpoint.ts; the bytes themselves: tensor-bytes.ts.
export { type FolderTarget, writeFolderAtomically } from "./atomic-folder.ts";
export {
  type Checkpoint,
  type CheckpointContents,
  loadCheckpoint,
  readCheckpoint,
  saveCheckpoint,
  slotTensorName,
  stateTensorName,
  writeCheckpoint,
} from "./checkpoint.ts";
export { encodeHeader, parseHeader, type SafetensorsDType, type TensorInfo } from "./safetensors.ts";
export { type ByteSink, type ByteSource, blobSource, type StoredTensor } from "./tensor-bytes.ts";
export {
  readTensorFile,
  type TensorFile,
  verifyChecksum,
  writePlainTensorFile,
  writeTensorFile,
} from "./tensor-file.ts";
