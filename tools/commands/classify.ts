import type { Command } from "commander";
import type { Checkpoint } from "../../runtime/checkpoint/index.ts";
import type { EncodedTensor } from "../../runtime/train/index.ts";
import { recompile } from "../checkpoints.ts";
import type { Console } from "../console.ts";
import { encodeForModel, tokenLimit } from "../encode-input.ts";
import { Failure } from "../failure.ts";
import { type KernelOptions, withKernelOptions } from "../options.ts";
import { renderTable } from "../terminal/table.ts";
import { chooseTuning } from "../tuning/choose-tuning.ts";

interface ClassifyOptions extends KernelOptions {
  readonly checkpoint: string;
}

/** The output with a number for every class, as the shipped library names it. */
const logitsName = "logits";

export function addClassifyCommand(program: Command, open: (options: KernelOptions) => Console): void {
  withKernelOptions(
    program
      .command("classify")
      .argument("<spec>", "the .bert file that the checkpoint was trained from")
      .argument("<text>", "a text, for instance 'a crane is flying'")
      .argument("[second]", "the second text of a pair"),
  )
    .summary("tell the class of a text, or of each of its words, with a fine-tuned model")
    .requiredOption("--checkpoint <file>", "what `train` wrote")
    .action(async (spec: string, text: string, second: string | undefined, options: ClassifyOptions) => {
      await classify(spec, text, second, options, open(options));
    });
}

async function classify(
  spec: string,
  text: string,
  second: string | undefined,
  options: ClassifyOptions,
  console: Console,
): Promise<void> {
  const { loadCheckpoint } = await import("../../runtime/checkpoint/index.ts");
  const { openDevice } = await import("../../runtime/device/index.ts");
  const { createEncoder } = await import("../../runtime/train/index.ts");
  const checkpoint = await loadCheckpoint(options.checkpoint);
  const kiln = await openDevice({ prefer: options.device });
  try {
    const program = await recompile(spec, checkpoint, console, {
      profile: kiln.profile,
      settings: options.set,
      tuning: await chooseTuning(options.tuning, kiln, console),
      data: { batch: 1 },
      entries: ["encode"],
      outputs: [logitsName],
    });
    if (program.entries.encode?.outputs.length !== 1) {
      throw new Failure(1, {
        message: `\`${program.name}\` has no output \`${logitsName}\`: it tells no classes`,
        hint: "train a classifier: models/bert-classify.bert, models/bert-tag.bert",
      });
    }
    console.note(kiln.notice);
    const input = await encodeForModel(checkpoint, text, second, tokenLimit(program), console);
    const encoder = await createEncoder(program, kiln, checkpoint);
    try {
      const logits = (await encoder.encode(input.fields))[logitsName];
      if (logits?.shape.length === 2) showClasses(logits, checkpoint, console);
      else if (logits !== undefined) showTags(logits, input.tokens, checkpoint, console);
    } finally {
      encoder.dispose();
    }
  } finally {
    kiln.close();
  }
}

/** [1, classes] */
function showClasses({ data }: EncodedTensor, { labels }: Checkpoint, console: Console): void {
  const classes = [...softmax(data)]
    .map((probability, id) => ({ label: labels?.[id] ?? String(id), probability }))
    .sort((a, b) => b.probability - a.probability);
  console.result({ label: classes[0]?.label, classes });
  console.say(
    renderTable(
      [
        { title: "label", align: "left" },
        { title: "probability", align: "right" },
      ],
      classes.map(({ label, probability }) => [label, probability.toFixed(3)]),
    ),
  );
}

/** [1, T, classes]; special tokens have no class. */
function showTags(
  { data, shape }: EncodedTensor,
  tokens: readonly string[],
  { labels }: Checkpoint,
  console: Console,
): void {
  const classes = shape.at(-1) ?? 0;
  const told = tokens.slice(1, -1).map((token, i) => {
    const probabilities = softmax(data.subarray((i + 1) * classes, (i + 2) * classes));
    const id = probabilities.indexOf(Math.max(...probabilities));
    return { token, label: labels?.[id] ?? String(id), probability: probabilities[id] ?? Number.NaN };
  });
  console.result({ tokens: told });
  console.say(
    renderTable(
      [
        { title: "token", align: "left" },
        { title: "label", align: "left" },
        { title: "probability", align: "right" },
      ],
      told.map(({ token, label, probability }) => [token, label, probability.toFixed(3)]),
    ),
  );
}

function softmax(logits: Float32Array): readonly number[] {
  const top = Math.max(...logits);
  const shifted = [...logits].map((value) => Math.exp(value - top));
  const sum = shifted.reduce((total, value) => total + value, 0);
  return shifted.map((value) => value / sum);
}
