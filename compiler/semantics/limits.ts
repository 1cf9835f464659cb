/*
 * Bounds on what a spec may ask of the compiler, so that no text, however odd, takes long or overflows the stack.
 * BERT-Large needs about 3,000 instructions, 250 instances, nesting 30.
 */
export const limits = {
  /** Files that one spec may reach. */
  files: 64,
  /** Imports from file to file. */
  importDepth: 16,
  /** `repeat n of`. */
  repeat: 1024,
  instances: 20_000,
  instructions: 50_000,
  /** Expressions evaluated in all. */
  evaluations: 300_000,
  /** Expressions, calls and layer instances one inside the other. Each level takes a few stack frames of ours. */
  nesting: 400,
  /** Axes of a tensor. */
  rank: 12,
  /** Elements of a tensor: indices are signed 32-bit numbers on the device. */
  elements: 2 ** 31 - 1,
  /** Diagnostics of one run. */
  diagnostics: 100,
  /** Mistakes found before the analysis gives up, repetitions of one place counted. */
  mistakes: 500,
  /** Names among which the nearest is looked for. */
  suggestions: 500,
} as const;
