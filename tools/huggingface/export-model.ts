import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  type StoredTensor,
  writeFolderAtomically,
  writePlainTensorFile,
} from "../../runtime/checkpoint/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import {
  type FloatTensor,
  type HeadedConfig,
  partsOf,
  printConfig,
  tensorPairs,
  toHuggingFace,
  tokenizerFiles,
} from "../../runtime/huggingface/index.ts";
import { createTokenizer, wordsTokenizer } from "../../runtime/tokenizer/index.ts";

/** A folder of Hugging Face's always has it. */
const configName = "config.json";

/**
 * Writes a folder that `from_pretrained` of transformers loads: there whole or not at all.
 * @param config of the checkpoint's model, which was made sure to compute the same
 * @throws KilnError `user` for a checkpoint of another model, and for a folder that is there already
 */
export async function exportModel(
  checkpoint: Checkpoint,
  config: HeadedConfig,
  folder: string,
  replace: boolean,
): Promise<void> {
  const tensors = exportedTensors(checkpoint, config);
  const tokenizer = createTokenizer(checkpoint.tokenizer ?? wordsTokenizer, checkpoint.vocabulary);
  await writeFolderAtomically({ path: folder, replace, marker: configName }, async (partial) => {
    const files = tokenizerFiles(tokenizer, config.positions);
    for (const [name, text] of [...files, [configName, printConfig(config, tokenizer.pad)] as const])
      await writeFile(join(partial, name), text);
    await writePlainTensorFile(join(partial, "model.safetensors"), tensors, { format: "pt" });
  });
}

/** Sorted by name, as the safetensors library writes tensors of one dtype. */
function exportedTensors(checkpoint: Checkpoint, config: HeadedConfig): ReadonlyMap<string, StoredTensor> {
  const problems: string[] = [];
  const tensors = tensorPairs(config, partsOf[config.architecture]).flatMap((pair) => {
    const tensor = checkpoint.tensors.get(pair.kiln);
    const shape = tensor?.shape.join(", ");
    const source: FloatTensor | undefined = tensor?.dtype === "F32" ? { ...tensor, dtype: "F32" } : undefined;
    if (source === undefined || shape !== pair.shape.join(", ")) {
      const given =
        tensor === undefined
          ? "is missing"
          : `is ${tensor.dtype}[${shape}], not F32[${pair.shape.join(", ")}]`;
      problems.push(`\`${pair.kiln}\` ${given}`);
      return [];
    }
    return [[pair.huggingFace, toHuggingFace(source, pair)] as const];
  });
  if (problems.length > 0) {
    throw new KilnError(
      "user",
      `${checkpoint.path} does not fit its own spec:${problems.map((problem) => `\n  ${problem}`).join("")}`,
      "give the --set values that it was trained with",
    );
  }
  return new Map(tensors.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
