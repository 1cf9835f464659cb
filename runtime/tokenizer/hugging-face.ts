import { KilnError } from "../errors.ts";
import {
  isObject,
  type SpecialTokens,
  uncasedWordPiece,
  type WordPieceDescription,
} from "../tokenizer-description.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";

/** The text of a file and what to call it in messages. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** The files of a folder that say how BERT's tokenizer works; `config` is `tokenizer_config.json`, where there is one. */
export interface TokenizerFiles {
  readonly tokenizer: TextFile & { readonly format: "vocab.txt" | "tokenizer.json" };
  readonly config?: TextFile;
}

/**
 * Makes a tokenizer from what `save_pretrained` of a BertTokenizer or BertTokenizerFast wrote. Where `tokenizer_config.json` and
 * `tokenizer.json` differ the former counts, as in `transformers`; what neither says is as in `bert-base-uncased`.
 * @throws KilnError `user` naming the file and what is wrong with it, or what in it is not BERT's WordPiece
 */
export function parseTokenizer({ tokenizer, config }: TokenizerFiles): Tokenizer {
  const { vocabulary, description } =
    tokenizer.format === "vocab.txt"
      ? { vocabulary: parseVocabulary(tokenizer), description: uncasedWordPiece }
      : parseTokenizerJson(tokenizer);
  const configured = config === undefined ? description : configure(description, config);
  try {
    return createTokenizer(configured, vocabulary);
  } catch (thrown) {
    if (!(thrown instanceof KilnError)) throw thrown;
    throw new KilnError(thrown.kind, `${tokenizer.name}: ${thrown.message}`, thrown.hint);
  }
}

/** One token a line; the number of the line, from 0, is its id. */
function parseVocabulary({ name, text }: TextFile): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) throw new KilnError("user", `the vocabulary ${name} is empty`);
  const empty = lines.indexOf("");
  if (empty !== -1) {
    throw new KilnError("user", `line ${empty + 1} of ${name} is empty: every line is a token`);
  }
  return lines;
}

function parseTokenizerJson(file: TextFile): {
  readonly vocabulary: readonly string[];
  readonly description: WordPieceDescription;
} {
  const root = parseObject(file);
  const model = requireObject(file, root, "model");
  const unsupported = (what: string): KilnError =>
    new KilnError(
      "user",
      `${file.name} is no tokenizer of BERT: ${what}`,
      "Kiln reads WordPiece with BertNormalizer and BertPreTokenizer",
    );
  const expectType = (part: string, wanted: string): Readonly<Record<string, unknown>> => {
    const value = root[part];
    if (!isObject(value)) throw unsupported(`it has no ${part}`);
    if (value.type !== wanted) throw unsupported(`its ${part} is ${String(value.type)}, not ${wanted}`);
    return value;
  };
  // Files of old versions do not name the model.
  if (model.type !== undefined || typeof model.continuing_subword_prefix !== "string")
    expectType("model", "WordPiece");
  const normalizer = expectType("normalizer", "BertNormalizer");
  expectType("pre_tokenizer", "BertPreTokenizer");
  const flag = (name: string, otherwise: boolean): boolean => {
    const value = normalizer[name] ?? otherwise;
    if (typeof value !== "boolean")
      throw unsupported(`\`${name}\` of its normalizer is neither true nor false`);
    return value;
  };
  const unknown = model.unk_token ?? uncasedWordPiece.specialTokens.unknown;
  const prefix = model.continuing_subword_prefix ?? uncasedWordPiece.prefix;
  const longest = model.max_input_chars_per_word ?? uncasedWordPiece.maxCharsPerWord;
  if (typeof unknown !== "string") throw unsupported("the `unk_token` of its model is no text");
  if (typeof prefix !== "string")
    throw unsupported("the `continuing_subword_prefix` of its model is no text");
  if (typeof longest !== "number") throw unsupported("`max_input_chars_per_word` of its model is no number");
  const strip = normalizer.strip_accents ?? null;
  const { cls, sep } = structureOf(root.post_processor, unsupported);
  const description: WordPieceDescription = {
    kind: "wordpiece",
    lowercase: flag("lowercase", uncasedWordPiece.lowercase),
    stripAccents: strip === null ? null : flag("strip_accents", false),
    cleanText: flag("clean_text", uncasedWordPiece.cleanText),
    handleChineseChars: flag("handle_chinese_chars", uncasedWordPiece.handleChineseChars),
    maxCharsPerWord: longest,
    prefix,
    specialTokens: { ...uncasedWordPiece.specialTokens, unknown, cls, sep },
  };
  const added = parseAddedTokens(file, root.added_tokens);
  const vocabulary = tokensById(file, [
    ...Object.entries(requireObject(file, model, "vocab")),
    ...added.map(({ content, id }) => [content, id] as const),
  ]);
  checkAddedTokens(added, description.specialTokens, unsupported);
  return { vocabulary, description };
}

/** The tokens around texts: `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]`, in either of the two forms that files have. */
function structureOf(
  processor: unknown,
  unsupported: (what: string) => KilnError,
): Pick<SpecialTokens, "cls" | "sep"> {
  const { cls, sep } = uncasedWordPiece.specialTokens;
  if (processor === undefined || processor === null) return { cls, sep };
  if (isObject(processor) && processor.type === "BertProcessing") {
    const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : undefined);
    const [given, other] = [first(processor.cls), first(processor.sep)];
    if (typeof given === "string" && typeof other === "string") return { cls: given, sep: other };
  }
  if (isObject(processor) && processor.type === "TemplateProcessing") {
    const single = templateOf(processor.single);
    const [given = "", a, other = ""] = single;
    const pair = [given, "A", other, "B", other];
    if (single.length === 3 && a === "A" && templateOf(processor.pair).join(" ") === pair.join(" "))
      return { cls: given, sep: other };
  }
  throw unsupported("its post_processor puts other tokens around texts than `[CLS] a [SEP] b [SEP]`");
}

function templateOf(items: unknown): readonly string[] {
  if (!Array.isArray(items)) return [];
  return items.map((item: unknown) => {
    const part = isObject(item) ? (item.SpecialToken ?? item.Sequence) : undefined;
    return isObject(part) ? String(part.id) : "";
  });
}

interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Taken only where it is a word of its own, or with the spaces beside it: as BERT's are not. */
  readonly isChoosy: boolean;
}

function parseAddedTokens(file: TextFile, value: unknown): readonly AddedToken[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new KilnError("user", `\`added_tokens\` of ${file.name} is no list`);
  return value.map((token: unknown) => {
    if (!isObject(token) || typeof token.content !== "string" || typeof token.id !== "number") {
      throw new KilnError("user", `\`added_tokens\` of ${file.name} holds ${JSON.stringify(token)}`);
    }
    const isChoosy = token.single_word === true || token.lstrip === true || token.rstrip === true;
    return { content: token.content, id: token.id, isChoosy };
  });
}

function checkAddedTokens(
  added: readonly AddedToken[],
  specials: SpecialTokens,
  unsupported: (what: string) => KilnError,
): void {
  const known: ReadonlySet<string> = new Set(Object.values(specials));
  const other = added.filter(({ content }) => !known.has(content));
  if (other.length > 0) {
    const names = other.slice(0, 3).map(({ content }) => JSON.stringify(content));
    throw unsupported(
      `it adds the tokens ${names.join(", ")}${other.length > 3 ? `, ${other.length - 3} more` : ""} to the special ones`,
    );
  }
  const choosy = added.find(({ isChoosy }) => isChoosy);
  if (choosy !== undefined) throw unsupported(`it takes ${choosy.content} with the spaces beside it`);
}

/** @param entries tokens with their ids; the same token with the same id may come twice */
function tokensById({ name }: TextFile, entries: readonly (readonly [string, unknown])[]): readonly string[] {
  if (entries.length === 0) throw new KilnError("user", `the vocabulary of ${name} is empty`);
  const byId = new Map<number, string>();
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) {
      throw new KilnError(
        "user",
        `the token ${JSON.stringify(token)} of ${name} has the id ${JSON.stringify(id)}`,
      );
    }
    const other = byId.get(id);
    if (other !== undefined && other !== token) {
      throw new KilnError(
        "user",
        `the tokens ${JSON.stringify(other)} and ${JSON.stringify(token)} of ${name} have the same id ${id}`,
      );
    }
    byId.set(id, token);
  }
  return Array.from({ length: byId.size }, (_, id) => {
    const token = byId.get(id);
    if (token !== undefined) return token;
    throw new KilnError(
      "user",
      `${name} has ids with holes: ${byId.size} tokens, and none has the id ${id}`,
      "ids must count from 0",
    );
  });
}

const configNames = {
  unknown: "unk_token",
  pad: "pad_token",
  mask: "mask_token",
  cls: "cls_token",
  sep: "sep_token",
} as const satisfies Record<keyof SpecialTokens, string>;

function configure(description: WordPieceDescription, file: TextFile): WordPieceDescription {
  const root = parseObject(file);
  const flag = (name: string): boolean | undefined => {
    const value = root[name] ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    throw new KilnError("user", `\`${name}\` of ${file.name} is neither true nor false`);
  };
  if (root.do_basic_tokenize === false) {
    throw new KilnError("user", `${file.name} turns \`do_basic_tokenize\` off, which Kiln cannot`);
  }
  const token = (role: keyof SpecialTokens): string => {
    const value = root[configNames[role]] ?? description.specialTokens[role];
    const text = isObject(value) ? value.content : value;
    if (typeof text === "string") return text;
    throw new KilnError("user", `\`${configNames[role]}\` of ${file.name} is no token`);
  };
  return {
    ...description,
    lowercase: flag("do_lower_case") ?? description.lowercase,
    stripAccents: flag("strip_accents") ?? description.stripAccents,
    handleChineseChars: flag("tokenize_chinese_chars") ?? description.handleChineseChars,
    specialTokens: {
      unknown: token("unknown"),
      pad: token("pad"),
      mask: token("mask"),
      cls: token("cls"),
      sep: token("sep"),
    },
  };
}

function parseObject({ name, text }: TextFile): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KilnError("user", `${name} is no JSON`);
  }
  if (!isObject(value)) throw new KilnError("user", `${name} is no JSON object`);
  return value;
}

function requireObject(
  { name }: TextFile,
  object: Readonly<Record<string, unknown>>,
  key: string,
): Readonly<Record<string, unknown>> {
  const value = object[key];
  if (!isObject(value)) throw new KilnError("user", `${name} has no \`${key}\``);
  return value;
}

/**
 * The files from which `transformers` makes the same tokenizer (`BertTokenizerFast`, `AutoTokenizer`), by name.
 * @throws KilnError `user` for a vocabulary of words, which Hugging Face's libraries have no tokenizer for
 */
export function huggingFaceFiles(tokenizer: Tokenizer): ReadonlyMap<string, string> {
  const { description, tokens, ids } = tokenizer;
  if (description.kind !== "wordpiece") {
    throw new KilnError(
      "user",
      "a vocabulary of whole words has no form that Hugging Face's libraries read",
      'train with `tokenizer: "wordpiece"`',
    );
  }
  const broken = tokens.find((token) => token === "" || /[\r\n]/.test(token));
  if (broken !== undefined) {
    throw new KilnError("user", `the token ${JSON.stringify(broken)} cannot stand in a line of vocab.txt`);
  }
  const { specialTokens, prefix } = description;
  const { unknown, pad, mask, cls, sep } = specialTokens;
  const idOf = (token: string): number => ids.get(token) ?? 0;
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const tokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [pad, unknown, cls, sep, mask]
      .sort((a, b) => idOf(a) - idOf(b))
      .map((content) => ({
        id: idOf(content),
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: description.cleanText,
      handle_chinese_chars: description.handleChineseChars,
      strip_accents: description.stripAccents,
      lowercase: description.lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special(cls), { Sequence: { id: "A", type_id: 0 } }, special(sep)],
      pair: [
        special(cls),
        { Sequence: { id: "A", type_id: 0 } },
        special(sep),
        { Sequence: { id: "B", type_id: 1 } },
        { SpecialToken: { id: sep, type_id: 1 } },
      ],
      special_tokens: Object.fromEntries([cls, sep].map((id) => [id, { id, ids: [idOf(id)], tokens: [id] }])),
    },
    decoder: { type: "WordPiece", prefix, cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: unknown,
      continuing_subword_prefix: prefix,
      max_input_chars_per_word: description.maxCharsPerWord,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
  const config = {
    tokenizer_class: "BertTokenizer",
    do_lower_case: description.lowercase,
    strip_accents: description.stripAccents,
    tokenize_chinese_chars: description.handleChineseChars,
    [configNames.unknown]: unknown,
    [configNames.pad]: pad,
    [configNames.mask]: mask,
    [configNames.cls]: cls,
    [configNames.sep]: sep,
  };
  const json = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`;
  return new Map([
    ["vocab.txt", tokens.map((token) => `${token}\n`).join("")],
    ["tokenizer.json", json(tokenizerJson)],
    ["tokenizer_config.json", json(config)],
  ]);
}
