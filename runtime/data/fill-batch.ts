import type { ExampleRow } from "./pretraining-pairs.ts";
import type { PairSettings, TextSettings } from "./settings.ts";
import type { Batch } from "./types.ts";

/**
 * A batch of `PretrainingPairs`.
 * @param write fills a row with the example at a place of the endless row of examples
 */
export function fillPairs(
  { batch, maxLength, predictions }: PairSettings,
  index: number,
  write: (row: ExampleRow, place: number) => { readonly length: number; readonly next: number },
): Batch {
  const tokens = new Int32Array(batch * maxLength);
  const segments = new Int32Array(batch * maxLength);
  const positions = new Int32Array(batch * predictions);
  const labels = new Int32Array(batch * predictions);
  const weights = new Float32Array(batch * predictions);
  const valid = new Int32Array(batch);
  const next = new Int32Array(batch);
  let validTokens = 0;
  for (let i = 0; i < batch; i++) {
    const row: ExampleRow = {
      tokens: tokens.subarray(i * maxLength, (i + 1) * maxLength),
      segments: segments.subarray(i * maxLength, (i + 1) * maxLength),
      positions: positions.subarray(i * predictions, (i + 1) * predictions),
      labels: labels.subarray(i * predictions, (i + 1) * predictions),
      weights: weights.subarray(i * predictions, (i + 1) * predictions),
    };
    const written = write(row, index * batch + i);
    valid[i] = written.length;
    next[i] = written.next;
    validTokens += written.length;
  }
  return {
    index,
    fields: { tokens, segments, valid, positions, labels, weights, next },
    examples: batch,
    validTokens,
  };
}

/**
 * A batch of `CausalText`.
 * @param write fills a row with the window at a place of the endless row of windows; returns its targets with weight 1
 */
export function fillWindows(
  { batch, maxLength }: TextSettings,
  index: number,
  write: (
    row: Pick<ExampleRow, "tokens" | "weights"> & { readonly targets: Int32Array },
    place: number,
  ) => number,
): Batch {
  const tokens = new Int32Array(batch * maxLength);
  const targets = new Int32Array(batch * maxLength);
  const weights = new Float32Array(batch * maxLength);
  let validTokens = 0;
  for (let i = 0; i < batch; i++) {
    const from = i * maxLength;
    const row = {
      tokens: tokens.subarray(from, from + maxLength),
      targets: targets.subarray(from, from + maxLength),
      weights: weights.subarray(from, from + maxLength),
    };
    validTokens += write(row, index * batch + i);
  }
  return { index, fields: { tokens, targets, weights }, examples: batch, validTokens };
}
