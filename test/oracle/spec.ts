import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Path of one of the oracle's specs, and where the texts that it imports come from. */
export function oracleSpec(name: "d2l" | "original") {
  const textAt = (path: string): string | undefined =>
    existsSync(path) ? readFileSync(path, "utf8") : undefined;
  const shipped = fileURLToPath(new URL("../../models/", import.meta.url));
  return {
    root: fileURLToPath(new URL(`./${name}.bert`, import.meta.url)),
    load: textAt,
    library: (path: string) => textAt(shipped + path),
  };
}
