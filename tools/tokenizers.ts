import type { GivenTokenizer } from "../runtime/data/index.ts";

/**
 * The tokenizer at a path: a `vocab.txt`, a `tokenizer.json`, a folder with one of them, or that of a checkpoint.
 * @throws KilnError where none of these is there
 */
export async function readGivenTokenizer(path: string): Promise<Required<GivenTokenizer>> {
  const { readTokenizer, wordsTokenizer } = await import("../runtime/tokenizer/index.ts");
  if (path.endsWith(".safetensors")) {
    const { loadCheckpoint } = await import("../runtime/checkpoint/index.ts");
    const { tokenizer = wordsTokenizer, vocabulary } = await loadCheckpoint(path);
    return { tokenizer, vocabulary };
  }
  const { tokens, description } = await readTokenizer(path);
  return { tokenizer: description, vocabulary: tokens };
}
