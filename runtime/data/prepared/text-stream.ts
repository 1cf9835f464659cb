import { open } from "node:fs/promises";
import { KilnError, messageOf } from "../../errors.ts";
import {
  detectBreaks,
  detectFormat,
  type Paragraph,
  readPart,
  type SentenceForm,
  type TextLayout,
} from "../text.ts";

/** Bytes that are read at once. */
const chunkBytes = 2 ** 20;
/** A longer line, or paragraph between blank lines, is read as several. */
const longest = 2 ** 22;

/** Some whole paragraphs of a file. */
export interface TextPart {
  readonly paragraphs: readonly Paragraph[];
  /** Bytes of the file up to the end of this part. */
  readonly readBytes: number;
}

/**
 * Reads a text file part by part, a few MiB in memory at a time, whatever its size.
 *
 * Paragraphs are those of `readParagraphs`, but that whether it is prose, and whether blank lines separate its paragraphs, is
 * decided by its first MiB, and that what is longer than 4 MiB without a break becomes several.
 * @param name what to call the file in messages
 * @throws KilnError `user` for a file that cannot be read, is empty or is no UTF-8 text, naming the byte
 */
export async function* readTextParts(
  path: string,
  name: string,
  form: SentenceForm,
): AsyncGenerator<TextPart, void> {
  let layout: TextLayout | undefined;
  let held = "";
  let readBytes = 0;
  for await (const piece of readLines(path, name)) {
    layout ??= { format: detectFormat(piece.text), breaks: detectBreaks(piece.text) };
    readBytes = piece.readBytes;
    const text = held + piece.text;
    const end =
      layout.format === "prose" && layout.breaks === "blank lines" ? endOfParagraphs(text) : text.length;
    held = text.slice(end);
    yield { paragraphs: readPart(text.slice(0, end), layout, form), readBytes };
  }
  if (layout !== undefined && held !== "") yield { paragraphs: readPart(held, layout, form), readBytes };
}

/** Where the last paragraph that a blank line ends is over; where none is and the text is too long to wait for one, all of it. */
function endOfParagraphs(text: string): number {
  let end = text.lastIndexOf("\n");
  while (end > 0) {
    const before = text.lastIndexOf("\n", end - 1);
    if (before < 0) break;
    if (/^[ \t]*$/.test(text.slice(before + 1, end))) return end + 1;
    end = before;
  }
  return text.length > longest ? text.length : 0;
}

interface Lines {
  readonly text: string;
  readonly readBytes: number;
}

/** Whole lines of a file, some 1 MiB of them at a time. Every `\r\n` and `\r` is `\n`. */
async function* readLines(path: string, name: string): AsyncGenerator<Lines, void> {
  const unreadable = (error: unknown): never => {
    throw new KilnError("user", `cannot read ${name}: ${messageOf(error)}`, undefined, error);
  };
  const file = await open(path, "r").catch(unreadable);
  try {
    /** Bytes after the last line that was given away, and where in the file they begin. */
    let pending: Uint8Array = new Uint8Array(0);
    let start = 0;
    for (;;) {
      const chunk = new Uint8Array(chunkBytes);
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, start + pending.length).catch(unreadable);
      if (bytesRead === 0) break;
      const bytes = joined(pending, chunk.subarray(0, bytesRead));
      const end = endOfLines(bytes);
      if (end > 0) {
        yield { text: decode(bytes.subarray(0, end), start, name), readBytes: start + end };
      }
      pending = bytes.subarray(end);
      start += end;
    }
    if (start === 0 && pending.length === 0) {
      throw new KilnError("user", `${name} is empty`, "give a text file");
    }
    if (pending.length > 0) {
      yield { text: decode(pending, start, name), readBytes: start + pending.length };
    }
  } finally {
    await file.close();
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

const newline = 0x0a;
const space = 0x20;

/** Where the last whole line ends; of one that is too long, where its last whole word does. */
function endOfLines(bytes: Uint8Array): number {
  const end = bytes.lastIndexOf(newline) + 1;
  if (end > 0 || bytes.length <= longest) return end;
  const word = bytes.lastIndexOf(space) + 1;
  if (word > 0) return word;
  // Not inside a character: its later bytes are 10xxxxxx.
  let cut = bytes.length - 1;
  while (cut > bytes.length - 4 && ((bytes[cut] ?? 0) & 0xc0) === 0x80) cut--;
  return cut;
}

function decode(bytes: Uint8Array, start: number, name: string): string {
  const zero = bytes.indexOf(0);
  if (zero >= 0) throw notText(name, start + zero);
  let text: string;
  try {
    // A byte order mark at the very start is dropped; any other U+FEFF is text.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: start > 0 }).decode(bytes);
  } catch {
    throw notText(name, start + validLength(bytes));
  }
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}

function notText(name: string, byte: number): KilnError {
  return new KilnError(
    "user",
    `${name} is not UTF-8 text: byte ${byte} (counted from 0) cannot stand there`,
    "convert it to UTF-8, or leave the file out",
  );
}

/** Bytes before the first that cannot stand where it does, by bisection: a prefix is valid if all shorter ones are. */
function validLength(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = Math.floor((valid + invalid) / 2);
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      valid = middle;
    } catch {
      invalid = middle;
    }
  }
  return Math.min(valid, bytes.length);
}
