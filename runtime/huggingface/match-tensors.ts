import type { StoredTensor } from "../checkpoint/index.ts";
import { KilnError } from "../errors.ts";
import type { BertConfig, HeadedConfig } from "./config.ts";
import { type FloatTensor, sameNumbers } from "./convert-tensors.ts";
import { isFloatDType } from "./float-formats.ts";
import {
  canonicalName,
  ignoredNames,
  type Part,
  partsOf,
  storedShape,
  type TensorPair,
  tensorPairs,
  tiedCopies,
} from "./tensor-names.ts";

/** Which stored tensor becomes which parameter. */
export interface MatchedTensors {
  /** What is imported: never a BertModel, which gets the heads of pre-training. */
  readonly config: HeadedConfig;
  readonly found: readonly { readonly pair: TensorPair; readonly source: FloatTensor }[];
  /** Parameters that the checkpoint has no values for: heads that its class has not. */
  readonly fresh: readonly TensorPair[];
  /** Tensors of heads that the imported model has not, by their stored names. */
  readonly leftBehind: readonly string[];
}

/** Heads that are known by name, of whatever size. */
const partPrefixes: Readonly<Record<Exclude<Part, "encoder">, string>> = {
  pooler: "bert.pooler.",
  masked_lm: "cls.predictions.",
  next_sentence: "cls.seq_relationship.",
  classifier: "classifier.",
};

/**
 * Accounts for every tensor of a checkpoint.
 * @param tensors by their stored names
 * @param path for messages
 * @throws KilnError `user` that names every tensor that is missing, unknown, of another shape or no float, and every
 * copy that differs from what it should be tied to
 */
export async function matchTensors(
  config: BertConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
  path: string,
): Promise<MatchedTensors> {
  const problems: string[] = [];
  const { byName, storedName } = canonicalNames(tensors, problems);
  const has = (part: Exclude<Part, "encoder">) =>
    [...byName.keys()].some((name) => name.startsWith(partPrefixes[part]));
  // The original BERT files call themselves BertForMaskedLM and hold both heads; a BertModel's file may, too.
  const holdsBoth = has("masked_lm") && has("next_sentence") && has("pooler");
  const { architecture } = config;
  const imported: HeadedConfig = {
    ...config,
    architecture:
      architecture === "BertModel" || (architecture === "BertForMaskedLM" && holdsBoth)
        ? "BertForPreTraining"
        : architecture,
  };
  const wanted = tensorPairs(imported, partsOf[imported.architecture]);
  const isFresh = ({ part }: TensorPair) => architecture === "BertModel" && part !== "encoder" && !has(part);

  const found: MatchedTensors["found"][number][] = [];
  for (const pair of wanted) {
    const tensor = byName.get(pair.huggingFace);
    if (tensor === undefined && isFresh(pair)) continue;
    if (tensor === undefined) {
      problems.push(`${pair.huggingFace} is missing`);
      continue;
    }
    const source = checked(tensor, storedShape(pair), storedName(pair.huggingFace), problems);
    if (source !== undefined) found.push({ pair, source });
  }
  const used = new Set(wanted.map((pair) => pair.huggingFace));
  const leftBehind: string[] = [];
  for (const name of byName.keys()) {
    if (used.has(name) || ignoredNames.has(name)) continue;
    if (Object.hasOwn(tiedCopies, name) && used.has("cls.predictions.bias")) continue;
    if (Object.values(partPrefixes).some((prefix) => name.startsWith(prefix)) && !isUsedPart(name, used))
      leftBehind.push(storedName(name));
    else problems.push(`${storedName(name)} is no tensor of a ${architecture}`);
  }
  problems.push(...(await untiedCopies(imported, found, byName, storedName)));
  if (problems.length > 0) {
    throw new KilnError(
      "user",
      `${path} does not fit its config.json:${problems.map((problem) => `\n  ${problem}`).join("")}`,
      "take both files from the same model",
    );
  }
  return {
    config: imported,
    found,
    fresh: wanted.filter((pair) => !byName.has(pair.huggingFace)),
    leftBehind,
  };
}

/** Whether a name has the prefix of a head that the imported model has: then it is no leftover but unknown. */
function isUsedPart(name: string, used: ReadonlySet<string>): boolean {
  const prefix = Object.values(partPrefixes).find((known) => name.startsWith(known));
  return prefix !== undefined && [...used].some((known) => known.startsWith(prefix));
}

function canonicalNames(
  tensors: ReadonlyMap<string, StoredTensor>,
  problems: string[],
): {
  readonly byName: ReadonlyMap<string, StoredTensor>;
  readonly storedName: (name: string) => string;
} {
  const hasPrefix = [...tensors.keys()].some((name) => name.startsWith("bert."));
  const byName = new Map<string, StoredTensor>();
  const stored = new Map<string, string>();
  for (const [name, tensor] of tensors) {
    const canonical = canonicalName(name, hasPrefix);
    const other = stored.get(canonical);
    if (other !== undefined) problems.push(`${other} and ${name} are names of one tensor`);
    stored.set(canonical, name);
    byName.set(canonical, tensor);
  }
  return { byName, storedName: (name) => stored.get(name) ?? name };
}

function checked(
  tensor: StoredTensor,
  shape: readonly number[],
  name: string,
  problems: string[],
): FloatTensor | undefined {
  const { dtype, shape: given } = tensor;
  if (given.length !== shape.length || given.some((size, axis) => size !== shape[axis])) {
    problems.push(`${name} is [${given.join(", ")}], by the config it is [${shape.join(", ")}]`);
    return undefined;
  }
  if (!isFloatDType(dtype)) {
    problems.push(`${name} is ${dtype}; weights are F32, F16 or BF16`);
    return undefined;
  }
  return { ...tensor, dtype };
}

/** Copies that a tied model stores must hold what they are copies of: else one of the two is not what was trained. */
async function untiedCopies(
  config: HeadedConfig,
  found: MatchedTensors["found"],
  byName: ReadonlyMap<string, StoredTensor>,
  storedName: (name: string) => string,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const [copyName, originalName] of Object.entries(tiedCopies)) {
    const copy = byName.get(copyName);
    const original = found.find(({ pair }) => pair.huggingFace === originalName);
    const isOwn = !config.tied && copyName.endsWith(".weight");
    if (copy === undefined || original === undefined || isOwn) continue;
    const source = checked(copy, original.source.shape, storedName(copyName), problems);
    if (source !== undefined && !(await sameNumbers(source, original.source)))
      problems.push(`${storedName(copyName)} should equal ${storedName(originalName)}, and does not`);
  }
  return problems;
}
