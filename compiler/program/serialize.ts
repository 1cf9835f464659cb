import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Program } from "./types.ts";

/** A program file that is not one, is damaged, or comes from another version. */
export class ProgramFormatError extends Error {
  override readonly name = "ProgramFormatError";
}

/** SHA-256 (hex) of all that a program does: everything but its hash, labels and sources. */
export function programHash(program: Omit<Program, "hash">): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalText({ ...program, hash: undefined, sources: undefined }))));
}

/** SHA-256 of a text, the first 16 hex digits: a name for what is too long to be one. */
export function shortHash(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text))).slice(0, 16);
}

/** JSON without labels, the keys of objects in order: equal programs have equal text. */
function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (!isRecord(value)) return JSON.stringify(value) ?? "null";
  const fields = Object.keys(value)
    .filter((key) => key !== "label" && value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key])}`);
  return `{${fields.join(",")}}`;
}

export function serializeProgram(program: Program): string {
  return JSON.stringify(program);
}

/** @throws ProgramFormatError saying what is wrong with the text */
export function parseProgram(text: string): Program {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProgramFormatError("it is no JSON: the file is cut short or not a program");
  }
  if (!isRecord(value) || value.format !== "kiln-program") {
    throw new ProgramFormatError('it has no `"format": "kiln-program"`: it is not a Kiln program');
  }
  if (value.version !== 1) {
    throw new ProgramFormatError(
      `it has version ${String(value.version)}, this Kiln reads version 1: compile the spec again`,
    );
  }
  if (!isProgram(value)) throw new ProgramFormatError("fields are missing: the file is damaged");
  const hash = programHash(value);
  if (hash !== value.hash)
    throw new ProgramFormatError("its content does not match its hash: the file was changed or damaged");
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The outline; what lies deeper is vouched for by the hash. */
function isProgram(value: Record<string, unknown>): value is Record<string, unknown> & Program {
  const lists = ["parameters", "inputs", "buffers", "kernels", "sources"];
  const records = ["profile", "data", "settings", "entries", "overrides"];
  return (
    typeof value.hash === "string" &&
    typeof value.name === "string" &&
    lists.every((key) => Array.isArray(value[key])) &&
    records.every((key) => isRecord(value[key]))
  );
}
