// In: a Program's buffer and parameter tables, an open device, the run's seed.
// Out: the buffers on the device, their first contents, reads that stall nothing.
// Assumes: the program's ranges lie inside its buffers (its verifier says so).
// Guarantees: a parameter's first values depend on seed, its name and the element's index alone; all is freed by `destroy`.
// Start reading at: memory.ts.
export { drawInitial } from "./initialize.ts";
export {
  buffersOf,
  DeviceMemory,
  type EntryName,
  elementsOf,
  entryNames,
  seedBuffer,
  skippedBuffer,
  stepBuffer,
} from "./memory.ts";
export { philoxBlock } from "./philox.ts";
export { type CopyRange, type PendingRead, ReadBackRing } from "./read-back.ts";
