import type { DataRequest, Precision, Program, Tuning } from "../../compiler/program/index.ts";
import { KilnError } from "../errors.ts";
import { isTokenizerDescription, type TokenizerDescription } from "../tokenizer-description.ts";
import { isRecord } from "./safetensors.ts";
import {
  type ByteSink,
  type ByteSource,
  checkChecksum,
  readTensors,
  type StoredTensor,
  writeTensors,
} from "./tensor-bytes.ts";
import { openFile, writeTensorFile } from "./tensor-file.ts";

/**
 * A run at the end of a step: all that is needed to go on with it, to encode with it and to compile it again.
 *
 * Tensors by name: a parameter under its own (`encoder.embedding.weight`), its optimizer slots as
 * `<parameter>@<slot>`, every other state buffer that is not all zero as `@<buffer>`, its words as U32.
 */
export interface CheckpointContents {
  /** Steps done. */
  readonly step: number;
  /** u32 */
  readonly seed: number;
  readonly programName: string;
  readonly programHash: string;
  readonly data: DataRequest;
  readonly sources: Program["sources"];
  readonly overrides: Program["overrides"];
  /** Absent: f32. */
  readonly precision?: Precision;
  /** Bytes: the limit that the program was compiled for. */
  readonly memoryBytes?: number;
  /** What measurements decided about the program's kernels: with others, sums would be rounded in another order. */
  readonly tuning?: Tuning;
  /** Tokens by id. */
  readonly vocabulary: readonly string[];
  /** Classes by id, where the model was trained to tell them. */
  readonly labels?: readonly string[];
  /** How text becomes those tokens. Absent: words. */
  readonly tokenizer?: TokenizerDescription;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** A checkpoint on disk or in a browser's storage; its tensors are read when they are asked for. */
export interface Checkpoint extends CheckpointContents {
  /** What messages call it. */
  readonly path: string;
}

const format = "kiln-checkpoint";
const version = "1";

export function slotTensorName(parameter: string, slot: string): string {
  return `${parameter}@${slot}`;
}

export function stateTensorName(buffer: string): string {
  return `@${buffer}`;
}

/**
 * Writes a checkpoint atomically: killed at any moment, the file is the old one or the new one.
 * @throws KilnError `machine` when the disk refuses; what reading a tensor throws
 */
export async function saveCheckpoint(path: string, contents: CheckpointContents): Promise<void> {
  await writeTensorFile(path, contents.tensors, metadataOf(contents));
}

/**
 * Writes the bytes of the same file; that they replace an earlier one all or not at all is the sink's affair.
 * @throws what the sink or reading a tensor throws
 */
export async function writeCheckpoint(sink: ByteSink, contents: CheckpointContents): Promise<void> {
  await writeTensors(sink, contents.tensors, metadataOf(contents));
}

function metadataOf(contents: CheckpointContents): Readonly<Record<string, string>> {
  return {
    format,
    version,
    step: String(contents.step),
    seed: String(contents.seed),
    programName: contents.programName,
    programHash: contents.programHash,
    data: JSON.stringify(contents.data),
    overrides: JSON.stringify(contents.overrides),
    ...(contents.precision !== undefined && { precision: contents.precision }),
    ...(contents.memoryBytes !== undefined && { memoryBytes: String(contents.memoryBytes) }),
    ...(contents.tuning !== undefined && { tuning: JSON.stringify(contents.tuning) }),
    sources: JSON.stringify(contents.sources),
    vocabulary: JSON.stringify(contents.vocabulary),
    ...(contents.labels !== undefined && { labels: JSON.stringify(contents.labels) }),
    ...(contents.tokenizer !== undefined && { tokenizer: JSON.stringify(contents.tokenizer) }),
  };
}

/**
 * Opens a checkpoint and checks it whole: layout, checksum and metadata.
 * @throws KilnError `user` naming the path and the problem
 */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  return readCheckpoint(await openFile(path));
}

/**
 * The same of bytes from anywhere.
 * @throws KilnError `user` naming the source and the problem
 */
export async function readCheckpoint(source: ByteSource): Promise<Checkpoint> {
  const path = source.name;
  const { metadata, tensors } = await readTensors(source);
  if (metadata.format !== format) {
    throw new KilnError(
      "user",
      `${path} is a safetensors file, but not a Kiln checkpoint`,
      "Kiln writes one with `train`",
    );
  }
  if (metadata.version !== version) {
    throw new KilnError(
      "user",
      `${path} has checkpoint version ${metadata.version ?? "?"}, this Kiln reads ${version}`,
    );
  }
  await checkChecksum(source);
  const field = (name: string) => {
    const text = metadata[name];
    if (text === undefined) throw new KilnError("user", `${path} has no \`${name}\` in its metadata`);
    return text;
  };
  const json = <T>(name: string, isWanted: (value: unknown) => value is T): T => {
    const value = parseJson(field(name));
    if (!isWanted(value)) throw new KilnError("user", `${path} has a \`${name}\` that makes no sense`);
    return value;
  };
  return {
    path,
    step: json("step", isCount),
    seed: json("seed", isCount),
    programName: field("programName"),
    programHash: field("programHash"),
    data: json("data", isDataRequest),
    sources: json("sources", isSources),
    overrides: json("overrides", isTexts),
    ...(metadata.precision !== undefined && { precision: precisionOf(path, metadata.precision) }),
    ...(metadata.memoryBytes !== undefined && { memoryBytes: json("memoryBytes", isCount) }),
    ...(metadata.tuning !== undefined && { tuning: json("tuning", isTexts) }),
    vocabulary: json("vocabulary", isStrings),
    ...(metadata.labels !== undefined && { labels: json("labels", isStrings) }),
    ...(metadata.tokenizer !== undefined && { tokenizer: json("tokenizer", isTokenizerDescription) }),
    tensors,
  };
}

function precisionOf(path: string, text: string): Precision {
  if (text === "f32" || text === "mixed") return text;
  throw new KilnError("user", `${path} has a \`precision\` that makes no sense`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && isStrings(Object.values(value));
}

function isDataRequest(value: unknown): value is DataRequest {
  if (!isRecord(value) || typeof value.kind !== "string" || !isRecord(value.settings)) return false;
  return Object.values(value.settings).every((setting) => ["number", "string"].includes(typeof setting));
}

function isSources(value: unknown): value is Program["sources"] {
  return (
    Array.isArray(value) &&
    value.every((file) => isRecord(file) && typeof file.path === "string" && typeof file.text === "string")
  );
}
