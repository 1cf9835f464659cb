import { KilnError } from "../errors.ts";
import { descriptionMistake, type TokenizerDescription } from "../tokenizer-description.ts";
import { indexVocabulary, type Vocabulary } from "./vocabulary.ts";
import { createWordPieceTokenizer } from "./wordpiece.ts";
import { createWordsTokenizer } from "./words.ts";

/** Text to ids. Its tokens, their ids and the ids of the special ones are those of the vocabulary. */
export interface Tokenizer extends Vocabulary {
  readonly description: TokenizerDescription;
  /**
   * Ids of any text, special tokens neither added nor read: `[CLS]` in a person's text is a word like others, as no text can
   * write the structure of an input. The mask and the unknown token alone stand for themselves.
   */
  encode(text: string): readonly number[];
  /**
   * Ids of a sentence as `readParagraphs` gives it for this tokenizer: words between single spaces, which are looked up as they
   * are, or for WordPiece the sentence as it stood in the text, for which this is `encode`.
   */
  encodeSentence(sentence: string): readonly number[];
  /** The words of a text that `encode` reads as the unknown token, in order, as often as they occur. */
  unknownWords(text: string): readonly string[];
}

/**
 * @param vocabulary tokens by id
 * @throws KilnError `user` for a description that makes no sense, a missing special token and repeated tokens
 */
export function createTokenizer(description: TokenizerDescription, vocabulary: readonly string[]): Tokenizer {
  const mistake = descriptionMistake(description);
  if (mistake !== undefined) throw new KilnError("user", `this is no description of a tokenizer: ${mistake}`);
  return description.kind === "words"
    ? createWordsTokenizer(indexVocabulary(vocabulary))
    : createWordPieceTokenizer(description, indexVocabulary(vocabulary, description.specialTokens));
}
