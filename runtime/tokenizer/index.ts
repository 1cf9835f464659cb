// In. Text, a vocabulary (tokens by id) and a description; or files that Hugging Face's libraries write.
// Out. Ids of tokens, the words that a vocabulary does not know, vocabularies trained on counted words.
// Assumes. A browser is enough; what reads files and folders loads Node's modules when it is called.
// Guarantees. WordPiece gives the ids of BertTokenizerFast; a text writes no structure; a person's mistake is a KilnError.
// Start reading at. tokenizer.ts; where BERT's package is corrected: bert-text.ts.
export {
  isTokenizerDescription,
  type SpecialTokens,
  type TokenizerDescription,
  uncasedWordPiece,
  type WordPieceDescription,
  type WordsDescription,
  wordsTokenizer,
} from "../tokenizer-description.ts";
export { BoundedCounts } from "./bounded-counts.ts";
export { createWordCounter, type WordCounter } from "./count-words.ts";
export { readTokenizer } from "./files.ts";
export { huggingFaceFiles, parseTokenizer, type TextFile, type TokenizerFiles } from "./hugging-face.ts";
export { createTokenizer, type Tokenizer } from "./tokenizer.ts";
export { trainWordPiece, type WordPieceTraining } from "./train-wordpiece.ts";
export {
  buildVocabulary,
  compareCodePoints,
  countTokens,
  eachToken,
  specialTokens,
  tokensOf,
  type Vocabulary,
} from "./vocabulary.ts";
export { splitWords } from "./words.ts";
