import { type Command, Option } from "commander";
import type { Program } from "../../compiler/program/index.ts";
import type { EncodedTensor } from "../../runtime/train/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import { recompile } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { encodeForModel, tokenLimit } from "../encode-input.ts";
import { Failure } from "../failure.ts";
import { type KernelOptions, withKernelOptions } from "../options.ts";
import { renderTable } from "../terminal/table.ts";
import { chooseTuning } from "../tuning/choose-tuning.ts";

const formats = ["table", "json", "safetensors"] as const;

interface EncodeOptions extends KernelOptions {
  readonly checkpoint: string;
  readonly format: (typeof formats)[number];
  readonly output?: string;
  readonly tensor?: string;
}

export function addEncodeCommand(program: Command, open: (options: KernelOptions) => Console): void {
  withKernelOptions(
    program
      .command("encode")
      .argument("<spec>", "the .bert file that the checkpoint was trained from")
      .argument("<text>", "a text, for instance 'a crane is flying'")
      .argument("[second]", "a second segment"),
  )
    .summary("turn text into contextual vectors with a trained model")
    .description(
      "Encodes a text, or a pair of texts, with a checkpoint: one vector for every token, special tokens included.",
    )
    .requiredOption("--checkpoint <file>", "what `train` wrote")
    .addOption(new Option("--format <format>", "how to print the vectors").choices(formats).default("table"))
    .option(
      "--tensor <name>",
      "which of the model's outputs (default: `encoded`, or the only one with a vector a token)",
    )
    .option("-o, --output <file>", "write to a file; needed for safetensors")
    .action(async (spec: string, text: string, second: string | undefined, options: EncodeOptions) => {
      await encode(spec, text, second, options, open(options));
    });
}

async function encode(
  spec: string,
  text: string,
  second: string | undefined,
  options: EncodeOptions,
  console: Console,
): Promise<void> {
  if (options.format === "safetensors" && options.output === undefined) {
    throw new Failure(2, {
      message: "--format safetensors needs --output",
      hint: "for instance: -o vectors.safetensors",
    });
  }
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { openDevice } = await import("../../runtime/device/index.ts");
  const { createEncoder } = await import("../../runtime/train/index.ts");
  const checkpoint = await loadCheckpoint(options.checkpoint);
  const kiln = await openDevice({ prefer: options.device });
  try {
    const { tensor: wanted } = options;
    const compilation = {
      profile: kiln.profile,
      settings: options.set,
      tuning: await chooseTuning(options.tuning, kiln, console),
      data: { batch: 1 },
      entries: ["encode"],
    } as const;
    const usual = await recompile(spec, checkpoint, console, compilation);
    // A head is compiled where it is asked for.
    const asked =
      wanted === undefined || hasOutput(usual, wanted)
        ? usual
        : await recompile(spec, checkpoint, console, { ...compilation, outputs: [wanted] });
    const program = wanted !== undefined && hasOutput(asked, wanted) ? asked : usual;
    console.note(kiln.notice);
    const input = await encodeForModel(checkpoint, text, second, tokenLimit(program), console);
    const encoder = await createEncoder(program, kiln, checkpoint);
    try {
      const tensor = chooseOutput(await encoder.encode(input.fields), options.tensor, tokenLimit(program));
      await print(input.tokens, tensor, options, console);
    } finally {
      encoder.dispose();
    }
  } finally {
    kiln.close();
  }
}

function hasOutput({ entries }: Program, name: string): boolean {
  return entries.encode?.outputs.some((output) => output.name === `output.${name}`) === true;
}

/** @returns the output with a vector for every token of one row: [1, T, H] */
function chooseOutput(
  outputs: Readonly<Record<string, EncodedTensor>>,
  name: string | undefined,
  length: number,
): EncodedTensor {
  const perToken = Object.entries(outputs).filter(
    ([, { shape }]) => shape.length === 3 && shape[0] === 1 && shape[1] === length,
  );
  const names = perToken.map(([known]) => `\`${known}\``).join(", ");
  const found =
    perToken.find(([known]) => known === (name ?? "encoded")) ??
    (name === undefined && perToken.length === 1 ? perToken[0] : undefined);
  if (found !== undefined) return found[1];
  if (perToken.length === 0)
    throw new Failure(1, { message: "no output of the model has a vector for every token" });
  throw new Failure(name === undefined ? 1 : 2, {
    message:
      name === undefined
        ? "the model has several outputs with a vector for every token"
        : `the model has no output \`${name}\` with a vector for every token`,
    hint: `choose with --tensor: ${names}`,
  });
}

async function print(
  tokens: readonly string[],
  tensor: EncodedTensor,
  options: EncodeOptions,
  console: Console,
): Promise<void> {
  const hidden = tensor.shape[2] ?? 0;
  const shape = [tokens.length, hidden];
  const rows = tokens.map((_, at) => tensor.data.subarray(at * hidden, (at + 1) * hidden));
  const object = { tokens, shape, vectors: rows.map((row) => Array.from(row)) };
  if (options.format === "safetensors" && options.output !== undefined) {
    const { writeTensorFile } = await import("../../runtime/checkpoint/index.ts");
    const bytes = new Uint8Array(tensor.data.slice(0, tokens.length * hidden).buffer);
    const vectors = {
      dtype: "F32" as const,
      shape,
      read: async function* () {
        yield bytes;
      },
    };
    await writeTensorFile(options.output, new Map([["vectors", vectors]]), {
      tokens: JSON.stringify(tokens),
    });
  } else if (options.output !== undefined) {
    await writeAtomically(
      options.output,
      options.format === "json" ? `${JSON.stringify(object)}\n` : `${vectorTable(tokens, rows)}\n`,
    );
  }
  if (options.output !== undefined) console.note(`wrote ${options.output}`);
  if (console.json) console.result(object);
  else if (options.output === undefined)
    console.say(options.format === "json" ? JSON.stringify(object) : vectorTable(tokens, rows));
}

/** The first numbers of every vector and its length: a look, not the data. */
function vectorTable(tokens: readonly string[], rows: readonly Float32Array[]): string {
  const shown = Math.min(6, rows[0]?.length ?? 0);
  const total = rows[0]?.length ?? 0;
  const columns = [
    { title: "token", align: "left" as const },
    ...Array.from({ length: shown }, (_, index) => ({ title: `[${index}]`, align: "right" as const })),
    ...(total > shown ? [{ title: `... ${total}`, align: "left" as const }] : []),
    { title: "norm", align: "right" as const },
  ];
  return renderTable(
    columns,
    tokens.map((token, at) => {
      const row = rows[at] ?? new Float32Array();
      const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      return [
        token,
        ...Array.from(row.subarray(0, shown), (value) => value.toFixed(4)),
        ...(total > shown ? [""] : []),
        norm.toFixed(3),
      ];
    }),
  );
}
