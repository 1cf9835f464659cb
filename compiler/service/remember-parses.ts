import type { ParseFile } from "../semantics/index.ts";
import { type ParseResult, parse } from "../syntax/index.ts";

/** Files kept: more than a spec and the library have. */
const capacity = 64;

/** A parser that gives a file that has not changed the AST of before; it keeps the files read last. */
export function rememberParses(): ParseFile {
  const known = new Map<string, { readonly text: string; readonly result: ParseResult }>();
  return (source) => {
    const before = known.get(source.name);
    const result = before?.text === source.text ? before.result : parse(source);
    known.delete(source.name);
    known.set(source.name, { text: source.text, result });
    for (const oldest of known.keys()) {
      if (known.size <= capacity) break;
      known.delete(oldest);
    }
    return result;
  };
}
