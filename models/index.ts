import { readFileSync } from "node:fs";

/**
 * Text of a file of the shipped library by its path (`lib/bert.bert`), or undefined where there is none.
 * Reads from beside this file, so that a spec anywhere can import it.
 */
export function libraryText(path: string): string | undefined {
  if (!/^lib\/[A-Za-z0-9_-]+\.bert$/.test(path)) return undefined;
  try {
    return readFileSync(new URL(path, import.meta.url), "utf8");
  } catch {
    return undefined;
  }
}
