import { readFileSync } from "node:fs";

/** Of Kiln, as its package says. */
export function packageVersion(): string {
  const text: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  return typeof text === "object" && text !== null && "version" in text ? String(text.version) : "0";
}
