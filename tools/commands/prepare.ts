import { type Command, InvalidArgumentError, Option } from "commander";
import type { Manifest, Prepared, TokenizerPlan } from "../../runtime/data/index.ts";
import type { Console } from "../console.ts";
import { runPrepare } from "../corpora/run-prepare.ts";
import { sayNotes } from "../corpora/say-notes.ts";
import { Failure } from "../failure.ts";
import { type CommonOptions, wholeNumber, withJson } from "../options.ts";
import { renderTable } from "../terminal/table.ts";
import { formatBytes, formatCount } from "../terminal/units.ts";
import { readGivenTokenizer } from "../tokenizers.ts";

interface PrepareOptions extends CommonOptions {
  readonly output: string;
  readonly tokenizer?: string;
  readonly tokenizerKind?: "words" | "wordpiece";
  readonly vocab?: number;
  readonly minFrequency?: number;
  readonly validShare: number;
  readonly testShare: number;
  readonly force?: boolean;
}

/** As the data line of a spec has it, where it says nothing. */
const usualMinFrequency = 5;

export function addPrepareCommand(
  program: Command,
  open: (options: CommonOptions) => Console,
  setExitCode: (code: number) => void,
): void {
  withJson(program.command("prepare").argument("<corpus>", "a text file of any size, or a folder of them"))
    .summary("write a corpus as tokens, to train on it again and again")
    .description(
      "Reads text as a stream and writes it as tokens into a folder that `train --corpus` takes. Of a folder, all .txt, .text and " +
        ".tokens files below it are read; its splits are those of folders and files called train, valid and test, else paragraphs are dealt out.",
    )
    .requiredOption("-o, --output <folder>", "where it goes; whole or not at all")
    .option(
      "--tokenizer <path>",
      "read text with this tokenizer: a vocab.txt, a tokenizer.json, a folder with one, or a checkpoint",
    )
    .addOption(
      new Option(
        "--tokenizer-kind <kind>",
        "without --tokenizer, what the vocabulary that is made from the training part has (default: words)",
      ).choices(["words", "wordpiece"]),
    )
    .option("--vocab <n>", "most entries of that vocabulary; needed for word pieces", wholeNumber(1))
    .option(
      "--min-frequency <n>",
      `words seen less often are unknown; of word pieces: how often two must stand side by side to become one (default: ${usualMinFrequency})`,
      wholeNumber(1),
    )
    .option("--valid-share <share>", "of the paragraphs, where the corpus has no splits", share, 0.05)
    .option("--test-share <share>", "the same", share, 0.05)
    .option("--force", "replace a prepared corpus that is there")
    .action(async (corpus: string, options: PrepareOptions) => {
      setExitCode(await prepare(corpus, options, open(options)));
    });
}

function share(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value < 0.5) return value;
  throw new InvalidArgumentError("It must be a number from 0 to below 0.5, for instance 0.05.");
}

async function prepare(corpus: string, options: PrepareOptions, console: Console): Promise<number> {
  const { output, validShare, testShare, force = false } = options;
  const outcome = await runPrepare(
    corpus,
    output,
    { tokenizer: await planTokenizer(options), shares: { valid: validShare, test: testShare }, force },
    console,
  );
  if ("interruptedBy" in outcome) {
    console.note("stopped: nothing was written");
    return outcome.interruptedBy;
  }
  await report(output, outcome, console);
  return 0;
}

async function planTokenizer(options: PrepareOptions): Promise<TokenizerPlan> {
  const { tokenizer: path, tokenizerKind, vocab, minFrequency } = options;
  if (path !== undefined) {
    const useless = [
      ...(tokenizerKind === undefined ? [] : ["--tokenizer-kind"]),
      ...(vocab === undefined ? [] : ["--vocab"]),
      ...(minFrequency === undefined ? [] : ["--min-frequency"]),
    ];
    if (useless.length > 0) {
      throw new Failure(2, {
        message: `${useless.join(" and ")} would make a vocabulary, and --tokenizer has one`,
        hint: "leave one or the other out",
      });
    }
    const { tokenizer, vocabulary } = await readGivenTokenizer(path);
    return { kind: "given", description: tokenizer, vocabulary };
  }
  const min = minFrequency ?? usualMinFrequency;
  if (tokenizerKind !== "wordpiece") return { kind: "words", minFrequency: min, vocabularySize: vocab };
  if (vocab === undefined) {
    throw new Failure(2, {
      message: "a WordPiece vocabulary is trained to a size: --vocab says which",
      hint: "for instance --vocab 30000",
    });
  }
  return { kind: "wordpiece", minFrequency: min, vocabularySize: vocab };
}

async function report(folder: string, prepared: Prepared, console: Console): Promise<void> {
  const { totalsOf } = await import("../../runtime/data/index.ts");
  const { manifest, leftOut, forgotten } = prepared;
  const { train, valid, test } = manifest.splits;
  const splits = Object.entries({ train, valid, test }).map(([name, shards]) => ({
    name,
    shards: shards.length,
    ...totalsOf(shards),
  }));
  console.result({
    folder,
    vocabulary: manifest.vocabulary.length,
    tokenizer: manifest.tokenizer.kind,
    splits: Object.fromEntries(splits.map(({ name, ...counts }) => [name, counts])),
    leftOut,
    forgotten,
  });
  sayNotes(prepared, console);
  console.say(
    renderTable(
      [
        { title: "split", align: "left" },
        ...["shards", "paragraphs", "sentences", "tokens", "size"].map((title) => ({
          title,
          align: "right" as const,
        })),
      ],
      splits.map(({ name, shards, paragraphs, sentences, tokens, bytes }) => [
        name,
        ...[shards, paragraphs, sentences, tokens].map(formatCount),
        formatBytes(bytes),
      ]),
    ),
  );
  console.say(`vocabulary: ${formatCount(manifest.vocabulary.length)} ${unitOf(manifest)}`);
  console.say(`train on it with: --corpus ${folder}`);
}

function unitOf({ tokenizer }: Manifest): string {
  return tokenizer.kind === "words" ? "words" : "word pieces";
}
