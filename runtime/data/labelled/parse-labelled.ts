import { parse } from "csv-parse/sync";
import { KilnError, messageOf } from "../../errors.ts";
import { decodeText } from "../text.ts";
import type { LabelledExample, LabelledSplit } from "./examples.ts";

/** Names of columns (or fields of JSON lines) by what they hold; absent: the first of the usual names that there is. */
export interface Columns {
  readonly text?: string;
  readonly pair?: string;
  readonly label?: string;
}

export type LabelledKind = "Classification" | "TokenClassification";

/** How files are read, by the end of their names. CoNLL: a word a line, its label in the last column, blank lines between texts. */
export const labelledFormats = ["tsv", "csv", "jsonl", "conll"] as const;
export type LabelledFormat = (typeof labelledFormats)[number];

/** Usual names, in the order they are looked for (GLUE, SNLI, Hugging Face's datasets). */
const usual: Readonly<Record<LabelledKind, Readonly<Record<keyof Columns, readonly string[]>>>> = {
  Classification: {
    text: ["text", "sentence", "sentence1", "premise", "question", "text_a"],
    pair: ["pair", "text_pair", "sentence2", "hypothesis", "text_b"],
    label: ["label", "gold_label", "labels", "class", "category"],
  },
  TokenClassification: {
    text: ["tokens", "words", "text"],
    pair: [],
    label: ["tags", "labels", "ner_tags", "pos_tags", "label"],
  },
};

/** Labels that stand for none: SNLI has `-` where its annotators did not agree. */
const noLabel: ReadonlySet<string> = new Set(["", "-"]);

/** A row of a file: its line, from 1, and its values by column. */
interface Row {
  readonly line: number;
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * The examples of a file.
 *
 * TSV is read as GLUE writes it (a tab is a tab, quotes are text), CSV after RFC 4180, both with a line of column names; JSON lines
 * are one object a line. For words, a column holds them separated by spaces, or a JSON array.
 * @param name of the file, for messages
 * @throws KilnError (`user`) naming the line: not UTF-8, no such column, an empty text, as many labels as words missing
 */
export function parseLabelled(
  bytes: Uint8Array,
  format: LabelledFormat,
  kind: LabelledKind,
  columns: Columns,
  name: string,
): LabelledSplit {
  const text = decodeText(bytes, name);
  if (format === "conll") {
    if (kind === "TokenClassification") return parseConll(text, name);
    throw new KilnError(
      "user",
      `${name} has a label for every word, and the model takes one for a text`,
      "give a .tsv, .csv or .jsonl file",
    );
  }
  const rows = format === "jsonl" ? jsonRows(text, name) : tableRows(text, format, name);
  const first = rows[0];
  if (first === undefined) throw new KilnError("user", `${name} has no row`, "give a file with examples");
  const chosen = chooseColumns(Object.keys(first.values), kind, columns, name);
  const examples: LabelledExample[] = [];
  let unlabelled = 0;
  for (const row of rows) {
    const example = kind === "Classification" ? textOf(row, chosen, name) : wordsOf(row, chosen, name);
    if (example === undefined) unlabelled++;
    else examples.push(example);
  }
  return { examples, unlabelled };
}

interface ChosenColumns {
  readonly text: string;
  readonly pair: string | undefined;
  readonly label: string;
}

function chooseColumns(
  names: readonly string[],
  kind: LabelledKind,
  columns: Columns,
  file: string,
): ChosenColumns {
  const choose = (what: keyof Columns): string | undefined => {
    const asked = columns[what];
    if (asked === undefined) return usual[kind][what].find((name) => names.includes(name));
    if (names.includes(asked)) return asked;
    throw new KilnError(
      "user",
      `${file} has no column \`${asked}\` for the ${what}`,
      `its columns are ${names.join(", ")}`,
    );
  };
  const need = (what: "text" | "label"): string => {
    const found = choose(what);
    if (found !== undefined) return found;
    throw new KilnError(
      "user",
      `${file} has no column for the ${what}: its columns are ${names.join(", ")}`,
      `name it: --columns ${what}=${names[0] ?? "NAME"}`,
    );
  };
  return { text: need("text"), pair: choose("pair"), label: need("label") };
}

function textOf({ line, values }: Row, columns: ChosenColumns, name: string): LabelledExample | undefined {
  const label = cell(values[columns.label]);
  if (label === undefined || noLabel.has(label)) return undefined;
  const read = (column: string): string => {
    const text = cell(values[column]);
    if (text !== undefined && text !== "") return text;
    throw new KilnError(
      "user",
      `line ${line} of ${name} has no \`${column}\``,
      "every example needs its text",
    );
  };
  const text = read(columns.text);
  return { texts: columns.pair === undefined ? [text] : [text, read(columns.pair)], label };
}

function wordsOf({ line, values }: Row, columns: ChosenColumns, name: string): LabelledExample | undefined {
  const list = (column: string): readonly string[] => {
    const value = values[column];
    if (Array.isArray(value)) return value.map((item) => cell(item) ?? "");
    return (cell(value) ?? "").split(/\s+/).filter((word) => word !== "");
  };
  const words = list(columns.text);
  const labels = list(columns.label);
  if (labels.length === 0) return undefined;
  if (words.length !== labels.length) {
    throw new KilnError(
      "user",
      `line ${line} of ${name} has ${words.length} words and ${labels.length} labels`,
      "each word needs a label",
    );
  }
  return { words, labels };
}

/** Text and numbers as text; nothing else is a value of a column. */
function cell(value: unknown): string | undefined {
  if (typeof value === "string") return value.trim();
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function tableRows(text: string, format: "tsv" | "csv", name: string): readonly Row[] {
  try {
    const records: unknown = parse(text, {
      columns: true,
      info: true,
      skip_empty_lines: true,
      ...(format === "tsv" ? { delimiter: "\t", quote: null } : {}),
    });
    return Array.isArray(records) ? records.flatMap(rowOf) : [];
  } catch (thrown) {
    throw new KilnError("user", `${name} is no table: ${messageOf(thrown)}`, undefined, thrown);
  }
}

/** What csv-parse gives with `info`: the record, and the lines read so far. */
function rowOf(found: unknown): readonly Row[] {
  if (!isObject(found) || !isObject(found.record) || !isObject(found.info)) return [];
  const { lines } = found.info;
  return [{ line: typeof lines === "number" ? lines : 0, values: found.record }];
}

function jsonRows(text: string, name: string): readonly Row[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (thrown) {
      throw new KilnError("user", `line ${i + 1} of ${name} is not JSON: ${messageOf(thrown)}`);
    }
    if (!isObject(value)) throw new KilnError("user", `line ${i + 1} of ${name} is not a JSON object`);
    return [{ line: i + 1, values: value }];
  });
}

function parseConll(text: string, name: string): LabelledSplit {
  const examples: LabelledExample[] = [];
  let words: string[] = [];
  let labels: string[] = [];
  const end = (): void => {
    if (words.length > 0) examples.push({ words, labels });
    words = [];
    labels = [];
  };
  text.split("\n").forEach((line, i) => {
    const cells = line.trim().split(/[ \t]+/);
    if (line.trim() === "" || line.startsWith("-DOCSTART-")) {
      end();
      return;
    }
    const label = cells.at(-1);
    if (cells.length < 2 || label === undefined) {
      throw new KilnError(
        "user",
        `line ${i + 1} of ${name} has no label`,
        "a line is a word and its label, the label last; blank lines stand between texts",
      );
    }
    words.push(cells[0]!);
    labels.push(label);
  });
  end();
  return { examples, unlabelled: 0 };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
