import { drawParagraphs } from "./automaton.ts";
import { buildGrammar } from "./grammar.ts";
import { randomAt, stream } from "./random.ts";

/** Characters of a piece, about: large enough to be written with few calls. */
const pieceLength = 1 << 18;

/**
 * Text of the built-in grammar without end, as files of WikiText have it: a paragraph a line, words between single spaces,
 * ` . ` after every sentence. ASCII, so a character is a byte.
 * @returns pieces of whole lines, some 256 KiB each; the same seed gives the same text
 */
export function* grammarText(seed: number): Generator<string, never> {
  const automaton = buildGrammar();
  const words = automaton.words.map((word) => ` ${word}`);
  let piece = "";
  for (const sentences of drawParagraphs(automaton, randomAt(seed, stream.grammarText))) {
    for (const sentence of sentences) {
      for (const word of sentence) piece += words[word]!;
      piece += " .";
    }
    piece += " \n";
    if (piece.length < pieceLength) continue;
    yield piece;
    piece = "";
  }
  throw new Error("paragraphs are drawn without end");
}
