import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The version of an installed package, or of this repository without a name. */
export function packageVersion(name?: string): string {
  const path = name === undefined ? "../package.json" : `../node_modules/${name}/package.json`;
  const text: unknown = JSON.parse(readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8"));
  return typeof text === "object" && text !== null && "version" in text ? String(text.version) : "";
}
