import { KilnError } from "../errors.ts";

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @throws KilnError `user` for a text that is no JSON object */
export function parseJsonObject(text: string, path: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new KilnError("user", `${path} is not JSON`, "copy it again from where the model comes from");
  }
  if (!isRecord(parsed)) throw new KilnError("user", `${path} is not a JSON object`);
  return parsed;
}
