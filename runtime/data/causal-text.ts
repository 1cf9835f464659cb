import type { Vocabulary } from "../tokenizer/index.ts";
import type { EncodedText } from "./corpus.ts";

/** The running text of a corpus: its sentences in order, a <sep> after each. */
export function runningText(text: EncodedText, { sep }: Vocabulary): Int32Array {
  const { tokens, sentenceStarts } = text;
  const sentences = sentenceStarts.length - 1;
  const running = new Int32Array(tokens.length + sentences);
  for (let s = 0; s < sentences; s++) {
    const end = sentenceStarts[s + 1]!;
    running.set(tokens.subarray(sentenceStarts[s]!, end), sentenceStarts[s]! + s);
    running[end + s] = sep;
  }
  return running;
}

/** Windows of `length` targets in a running text, the last one perhaps not full. */
export function windowCount(running: { readonly length: number }, length: number): number {
  return Math.ceil((running.length - 1) / length);
}

/**
 * Writes window `window`: tokens[i] is the text at window * length + i, targets[i] the token after it. Beyond the end of the
 * text stand <pad> with weight 0.
 * @returns the number of targets with weight 1
 */
export function writeWindow(
  row: { readonly tokens: Int32Array; readonly targets: Int32Array; readonly weights: Float32Array },
  running: Int32Array | Uint16Array | Uint32Array,
  window: number,
  { pad }: Vocabulary,
): number {
  const length = row.tokens.length;
  const start = window * length;
  const count = Math.min(length, running.length - 1 - start);
  row.tokens.fill(pad).set(running.subarray(start, start + count));
  row.targets.fill(pad).set(running.subarray(start + 1, start + 1 + count));
  row.weights.fill(0).fill(1, 0, count);
  return count;
}
