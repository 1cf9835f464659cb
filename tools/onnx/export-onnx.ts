import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { check, exportOnnx } from "../../compiler/index.ts";
import type { OnnxModel } from "../../compiler/onnx/index.ts";
import { type Checkpoint, writeFolderAtomically } from "../../runtime/checkpoint/index.ts";
import { tokenizerFiles } from "../../runtime/huggingface/index.ts";
import { createTokenizer, wordsTokenizer } from "../../runtime/tokenizer/index.ts";
import { openCheckpointSpec } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { reportDiagnostics } from "../spec.ts";
import { packageVersion } from "../version.ts";
import { transformersJsConfig } from "./config.ts";
import { worldSignature } from "./signature.ts";
import { defaultExternalFromBytes, type WrittenFile, writeOnnxModel } from "./write-model.ts";

export interface OnnxExportOptions {
  /** Outputs and heads by name. Default: the spec's outputs. */
  readonly outputs: readonly string[] | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Replace what an earlier export wrote there. */
  readonly replace: boolean;
  /** Bytes of parameters from which on they have a file of their own. Default: 1 GiB. */
  readonly externalFromBytes?: number;
}

export interface OnnxExport {
  readonly model: OnnxModel;
  readonly files: readonly WrittenFile[];
}

/** A folder of this kind always has it. */
const modelName = join("onnx", "model.onnx");

/**
 * Writes a checkpoint's model as a folder for ONNX Runtime and transformers.js: there whole or not at all.
 * @throws SpecFailure for a model that has no ONNX form; KilnError for a checkpoint of another model, a folder that is there
 * already, a full disk
 */
export async function exportOnnxFolder(
  spec: string,
  checkpoint: Checkpoint,
  options: OnnxExportOptions,
  console: Console,
): Promise<OnnxExport> {
  const { root, loader } = openCheckpointSpec(spec, checkpoint, console);
  const settings = { ...checkpoint.overrides, ...options.settings };
  const checked = check(root, { ...loader, settings });
  reportDiagnostics(checked, console);
  const { summary } = checked;
  if (summary === undefined) throw new Failure(1, { message: `${spec} describes no model`, file: spec });
  const outputs = options.outputs ?? summary.outputs;
  const signature = worldSignature(checkpoint.data.kind, outputs);
  const result = exportOnnx(root, { ...loader, settings, outputs, signature });
  reportDiagnostics(result, console);
  const model = result.onnx;
  if (model === undefined) throw new Failure(1, { message: `${spec} describes no model`, file: spec });
  const tokenizer = createTokenizer(checkpoint.tokenizer ?? wordsTokenizer, checkpoint.vocabulary);
  const trained = checkpoint.data.settings.max_len;
  const longest = model.dynamic.find((size) => size.name === "sequence")?.most;
  const names = checkpoint.data.settings.label_names;
  let files: readonly WrittenFile[] = [];
  await writeFolderAtomically(
    { path: options.folder, replace: options.replace, marker: modelName },
    async (partial) => {
      await mkdir(join(partial, "onnx"));
      const written = await writeOnnxModel(join(partial, modelName), model, checkpoint.tensors, {
        externalFromBytes: options.externalFromBytes ?? defaultExternalFromBytes,
        metadata: metadataOf(model, root, checkpoint),
        producerVersion: packageVersion(),
      });
      // A model without a bound was still trained for texts of some length.
      const length = longest ?? (typeof trained === "number" ? trained : 512);
      const texts = new Map(tokenizerFiles(tokenizer, length));
      const config = transformersJsConfig({
        spec,
        summary,
        model,
        padTokenId: tokenizer.pad,
        labelNames: typeof names === "string" ? names : "",
        external: written.length > 1,
      });
      if (config !== undefined) texts.set("config.json", config);
      for (const [name, text] of texts) await writeFile(join(partial, name), text);
      files = [
        ...written.map(({ path, sizeBytes }) => ({ path: path.slice(partial.length + 1), sizeBytes })),
        ...[...texts].map(([path, text]) => ({ path, sizeBytes: Buffer.byteLength(text) })),
      ];
    },
  );
  return { model, files };
}

/** What a file should tell of itself when it is found without the rest. */
function metadataOf(
  model: OnnxModel,
  root: string,
  checkpoint: Checkpoint,
): Readonly<Record<string, string>> {
  const bounds = model.dynamic.flatMap(({ name, least, most }) => [
    [`${name}.least`, String(least)],
    ...(most === undefined ? [] : [[`${name}.most`, String(most)]]),
  ]);
  return { spec: basename(root), step: String(checkpoint.step), ...Object.fromEntries(bounds) };
}
