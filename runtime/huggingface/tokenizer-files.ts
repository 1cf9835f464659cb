import { huggingFaceFiles, type Tokenizer } from "../tokenizer/index.ts";
import { parseJsonObject } from "./json.ts";
import { printWordsTokenizer } from "./words-tokenizer.ts";

/** Special tokens by the names that `transformers` has for them. */
type SpecialTokensMap = Readonly<
  Record<"unk_token" | "pad_token" | "mask_token" | "cls_token" | "sep_token", string>
>;

/**
 * The files of a tokenizer, by name: those from which `AutoTokenizer` makes one that gives the same ids.
 *
 * WordPiece has a vocab.txt for `BertTokenizer`. A vocabulary of words has none: `BertTokenizer` would take it for WordPiece, split
 * its tokens at punctuation and cut words into pieces, without a warning. Its rules are in tokenizer.json, read by
 * `PreTrainedTokenizerFast`.
 * @param longest most tokens of an input, special ones included
 */
export function tokenizerFiles(tokenizer: Tokenizer, longest: number): ReadonlyMap<string, string> {
  const { tokens, unknown, pad, mask, cls, sep } = tokenizer;
  const token = (id: number): string => tokens[id] ?? "";
  const special: SpecialTokensMap = {
    unk_token: token(unknown),
    pad_token: token(pad),
    mask_token: token(mask),
    cls_token: token(cls),
    sep_token: token(sep),
  };
  const files = new Map(
    tokenizer.description.kind === "words"
      ? [["tokenizer.json", printWordsTokenizer(tokens)]]
      : huggingFaceFiles(tokenizer),
  );
  const name = "tokenizer_config.json";
  const config = files.get(name);
  files.set(
    name,
    json({
      ...(config === undefined
        ? { ...special, tokenizer_class: "PreTrainedTokenizerFast" }
        : parseJsonObject(config, name)),
      model_max_length: longest,
    }),
  );
  return files.set("special_tokens_map.json", json(special));
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
