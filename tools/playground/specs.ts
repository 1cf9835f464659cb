/// <reference types="vite/client" />

/** The shipped specs and the library, as text in the bundle, by their paths in `models/`. */
const texts: ReadonlyMap<string, string> = new Map(
  Object.entries(
    import.meta.glob<string>(["../../models/*.bert", "../../models/lib/*.bert"], {
      query: "?raw",
      import: "default",
      eager: true,
    }),
  ).map(([path, text]) => [path.replace(/^.*\/models\//, ""), text]),
);

/** Names of the shipped specs, without the ending. */
export const shippedSpecs: readonly string[] = [...texts.keys()]
  .filter((path) => !path.includes("/"))
  .map((path) => path.replace(/\.bert$/, ""));

/** Text of a file of `models/` by its path there (`bert-tiny.bert`, `lib/bert.bert`). */
export function shippedText(path: string): string | undefined {
  return texts.get(path);
}
