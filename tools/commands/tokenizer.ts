import { join } from "node:path";
import { SingleBar } from "cli-progress";
import type { Command } from "commander";
import type { Tokenizer } from "../../runtime/tokenizer/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type CommonOptions, wholeNumber, withJson } from "../options.ts";
import { renderTable } from "../terminal/table.ts";
import { formatCount } from "../terminal/units.ts";
import { readGivenTokenizer } from "../tokenizers.ts";

interface TrainOptions extends CommonOptions {
  readonly vocab: number;
  readonly minFrequency: number;
  readonly cased?: boolean;
  readonly output: string;
}

export function addTokenizerCommand(program: Command, open: (options: CommonOptions) => Console): void {
  const command = program.command("tokenizer").summary("train a WordPiece vocabulary, or look at one");
  command.action(() => {
    throw new Failure(2, {
      message: "`tokenizer` is two commands: `tokenizer train` and `tokenizer show`",
      hint: "`tokenizer --help` says what they take",
    });
  });
  withJson(command.command("train").argument("<corpus>", "a folder with wiki.train.tokens, or a text file"))
    .summary("train a WordPiece vocabulary")
    .description(
      "Trains a WordPiece vocabulary on the training part of a corpus and writes vocab.txt, tokenizer.json and " +
        "tokenizer_config.json, which `train --tokenizer` and Hugging Face's libraries read.",
    )
    .requiredOption("--vocab <n>", "most entries of the vocabulary, special tokens included", wholeNumber(1))
    .option(
      "--min-frequency <n>",
      "how often two pieces must stand side by side to become one",
      wholeNumber(1),
      2,
    )
    .option("--cased", "keep case and accents (default: lowercase without accents)")
    .option("-o, --output <folder>", "where the files go", "out/tokenizer")
    .action(async (corpus: string, options: TrainOptions) => {
      await train(corpus, options, open(options));
    });
  withJson(
    command
      .command("show")
      .argument("<tokenizer>", "a vocab.txt, a tokenizer.json, a folder with one, or a checkpoint")
      .argument("<text>", "a text, for instance 'a crane is flying'"),
  )
    .summary("how a text becomes tokens")
    .action(async (path: string, text: string, options: CommonOptions) => {
      await show(path, text, open(options));
    });
}

async function train(path: string, options: TrainOptions, console: Console): Promise<void> {
  const { openCorpus, sentenceForm, trainTokenizer, vocabularySource } = await import(
    "../../runtime/data/index.ts"
  );
  const { huggingFaceFiles, uncasedWordPiece } = await import("../../runtime/tokenizer/index.ts");
  const description = { ...uncasedWordPiece, lowercase: options.cased !== true };
  console.note(`reading ${path} ...`);
  const corpus = await openCorpus(path, "train", sentenceForm(description));
  const progress = showEntries(options.vocab, console);
  let tokenizer: Tokenizer;
  try {
    tokenizer = trainTokenizer(vocabularySource(corpus), {
      description,
      vocabularySize: options.vocab,
      minFrequency: options.minFrequency,
      onProgress: progress.update,
    });
  } finally {
    progress.stop();
  }
  const files: string[] = [];
  for (const [name, text] of huggingFaceFiles(tokenizer)) {
    const file = join(options.output, name);
    await writeAtomically(file, text);
    files.push(file);
  }
  const { length } = tokenizer.tokens;
  console.result({ vocabulary: length, files });
  const fewer = length < options.vocab ? `; nothing else occurs ${options.minFrequency} times or more` : "";
  console.say(`${formatCount(length)} entries${fewer}`);
  console.say(`wrote ${files.join(", ")}`);
  console.say(`train with it: --tokenizer ${options.output}`);
}

/** A bar of the entries so far where a person looks at a terminal. */
function showEntries(
  total: number,
  console: Console,
): { readonly update: (entries: number) => void; readonly stop: () => void } {
  const stream = console.progressStream;
  if (stream === undefined) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    stream,
    hideCursor: false,
    // The training leaves the event loop no turn, so nothing is drawn but by an update.
    synchronousUpdate: true,
    format: "{bar}  {value}/{total} entries",
  });
  bar.start(total, 0);
  return { update: (entries) => bar.update(entries), stop: () => bar.stop() };
}

async function show(path: string, text: string, console: Console): Promise<void> {
  const tokenizer = await openTokenizer(path);
  const ids = tokenizer.encode(text);
  const tokens = ids.map((id) => tokenizer.tokens[id] ?? "");
  const unknown = tokenizer.unknownWords(text);
  console.result({ tokens, ids, unknown, vocabulary: tokenizer.tokens.length });
  console.say(
    renderTable(
      [
        { title: "token", align: "left" },
        { title: "id", align: "right" },
      ],
      tokens.map((token, at) => [token, String(ids[at])]),
    ),
  );
  if (unknown.length > 0) {
    console.note(
      `not in the vocabulary, read as ${tokenizer.tokens[tokenizer.unknown]}: ${[...new Set(unknown)].join(", ")}`,
    );
  }
}

async function openTokenizer(path: string): Promise<Tokenizer> {
  const { createTokenizer } = await import("../../runtime/tokenizer/index.ts");
  const { tokenizer, vocabulary } = await readGivenTokenizer(path);
  return createTokenizer(tokenizer, vocabulary);
}
