import type { Origin } from "./types.ts";

/** A broken invariant of a graph: always a bug of the compiler, never a person's mistake. */
export class GraphError extends Error {
  override readonly name = "GraphError";
}

/** @throws GraphError with `text()` unless `condition` holds. */
export function invariant(condition: boolean, text: () => string): asserts condition {
  if (!condition) throw new GraphError(text());
}

/** `encoder.layers.0 scores, lib/attention.bert:12:9, made by autodiff`. */
export function formatOrigin(origin: Origin): string {
  const what = [origin.path, origin.label].filter((part) => part !== "").join(" ");
  return [what, origin.at, `made by ${origin.pass}`].filter((part) => part !== "").join(", ");
}
