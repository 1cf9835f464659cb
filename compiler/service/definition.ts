import type { LoadedFile } from "../semantics/index.ts";
import type { Occurrence } from "./names.ts";
import { type OpenedSpec, openSpec } from "./open-spec.ts";
import { type Resolved, resolve } from "./resolve.ts";
import type { Location, Place, Range, SpecContext } from "./types.ts";

/** The name at an offset: the one that begins there, if two touch. */
export function occurrenceAt(opened: OpenedSpec, file: LoadedFile, offset: number): Occurrence | undefined {
  return opened.occurrences(file).all.findLast(({ span }) => span.start <= offset && offset <= span.end);
}

/** Where the name at a place is declared: several places where branches declare it twice; none where nothing is. */
export function definition(spec: SpecContext, at: Place): readonly Location[] {
  const opened = openSpec(spec);
  const file = opened?.file(at.file);
  if (opened === undefined || file === undefined) return [];
  const occurrence = occurrenceAt(opened, file, at.offset);
  return occurrence === undefined ? [] : resolve(opened, file, occurrence).flatMap(locationsOf);
}

function locationsOf(resolved: Resolved): readonly Location[] {
  switch (resolved.kind) {
    case "declaration":
      return [locationOf(resolved.file, resolved.declaration.name.span)];
    case "local":
      return [locationOf(resolved.file, resolved.local.name.span)];
    case "parameter":
      return [locationOf(resolved.file, resolved.parameter.name.span)];
    case "file":
      return [locationOf(resolved.file, { start: 0, end: 0 })];
    case "primitive":
    case "recipe":
      return [];
    default:
      return resolved satisfies never;
  }
}

function locationOf({ source, shipped }: LoadedFile, { start, end }: Range): Location {
  return { file: source.name, shipped, start, end };
}

/** All places in the same file that stand for what the name at a place stands for, that place included. */
export function references(spec: SpecContext, at: Place): readonly Range[] {
  const opened = openSpec(spec);
  const file = opened?.file(at.file);
  if (opened === undefined || file === undefined) return [];
  const here = occurrenceAt(opened, file, at.offset);
  if (here === undefined) return [];
  const keys = (occurrence: Occurrence): readonly string[] =>
    resolve(opened, file, occurrence).map((resolved) => keyOf(resolved));
  const wanted = new Set(keys(here));
  return opened
    .occurrences(file)
    .all.filter(({ text }) => text === here.text)
    .filter((occurrence) => keys(occurrence).some((key) => wanted.has(key)))
    .map(({ span: { start, end } }) => ({ start, end }));
}

function keyOf(resolved: Resolved): string {
  if (resolved.kind === "primitive") return `primitive ${resolved.name}`;
  if (resolved.kind === "recipe")
    return `${resolved.signature.kind} ${resolved.signature.name} ${resolved.parameter ?? ""}`;
  return locationsOf(resolved)
    .map(({ file, start }) => `${file} ${start}`)
    .join();
}
