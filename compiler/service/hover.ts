import { analyze, display, type Value } from "../semantics/index.ts";
import { occurrenceAt } from "./definition.ts";
import type { Occurrence } from "./names.ts";
import { openSpec } from "./open-spec.ts";
import { type Resolved, resolve } from "./resolve.ts";
import { commentOf, localText, recipeParameterText, recipeText, signatureOf, textOf } from "./signatures.ts";
import type { FoundValue, Hover, Place, Range, SpecContext } from "./types.ts";

/** Different values shown of one place. */
const maxValues = 4;

/**
 * What the name at a place is, or what the expression there is worth: for every instance of the layer the shape, with the
 * dimensions called as the layer calls them. Runs the analysis once.
 */
export function hover(spec: SpecContext, at: Place): Hover | undefined {
  const opened = openSpec(spec);
  const file = opened?.file(at.file);
  if (opened === undefined || file === undefined) return undefined;
  const occurrence = occurrenceAt(opened, file, at.offset);
  const [resolved] = occurrence === undefined ? [] : resolve(opened, file, occurrence);
  const text = resolved === undefined ? { signature: "", documentation: "" } : describe(resolved);
  const hasValue = occurrence === undefined || isValue(occurrence, resolved);
  const found = hasValue ? valuesAt(spec, file.source.name, at.offset) : undefined;
  const range = occurrence?.span ?? found?.range;
  if (range === undefined) return undefined;
  const all = [...(found?.values ?? [])];
  if (text.signature === "" && all.length === 0) return undefined;
  return {
    range: { start: range.start, end: range.end },
    ...text,
    values: all.slice(0, maxValues),
    moreValues: Math.max(0, all.length - maxValues),
  };
}

/** True where the analysis gives the name, or the call that it begins, a value. */
function isValue({ target }: Occurrence, resolved: Resolved | undefined): boolean {
  switch (target.kind) {
    case "local":
    case "member":
      return true;
    case "declaration":
      return target.item.kind === "setting";
    case "objective":
      return true;
    case "global":
      return target.wanted === "setting" || (target.wanted === "function" && resolved !== undefined);
    default:
      return false;
  }
}

function describe(resolved: Resolved): { readonly signature: string; readonly documentation: string } {
  switch (resolved.kind) {
    case "declaration": {
      const { file, declaration } = resolved;
      return { signature: signatureOf(file, declaration), documentation: commentOf(file, declaration.span) };
    }
    case "local":
      return {
        signature: localText(resolved.file, resolved.local),
        documentation: documentationOf(resolved.file, resolved.local),
      };
    case "parameter":
      return { signature: textOf(resolved.file, resolved.parameter.span), documentation: "" };
    case "file":
      return { signature: `import "${resolved.file.source.name}"`, documentation: "" };
    case "primitive":
      return { signature: resolved.usage, documentation: "" };
    case "recipe": {
      const { signature, parameter: name } = resolved;
      const parameter = signature.parameters.find((p) => p.name === name);
      return {
        signature: parameter === undefined ? recipeText(signature) : recipeParameterText(parameter),
        documentation: "",
      };
    }
    default:
      return resolved satisfies never;
  }
}

/** Of what begins a line of its own: a comment by a parameter list says nothing of the parameter. */
function documentationOf(...[file, local]: Parameters<typeof localText>): string {
  return local.kind === "parameter" || local.kind === "dimension" ? "" : commentOf(file, local.span);
}

interface Found {
  readonly range: Range;
  readonly values: readonly FoundValue[];
}

/** The values of the smallest expression around an offset. */
function valuesAt(spec: SpecContext, file: string, offset: number): Found | undefined {
  let range: Range | undefined;
  let values = new Map<string, { readonly path: string; readonly paths: Set<string> }>();
  analyze(spec.root, {
    loadFile: spec.load,
    library: spec.library,
    settings: spec.settings ?? {},
    ...(spec.parse !== undefined && { parse: spec.parse }),
    observe: (span, path, value) => {
      if (span.file !== file || offset < span.start || offset > span.end) return;
      const isSame = range?.start === span.start && range.end === span.end;
      if (range !== undefined && !isSame) {
        // Two names may touch a bracket or sign at the offset: what begins there goes before what ends there.
        const length = span.end - span.start;
        const isBetter =
          (span.start === offset) === (range.start === offset)
            ? length < range.end - range.start
            : span.start === offset || (length < range.end - range.start && span.end !== offset);
        if (!isBetter) return;
      }
      if (!isSame) {
        range = { start: span.start, end: span.end };
        values = new Map();
      }
      const shown = show(value);
      if (shown === undefined) return;
      const known = values.get(shown);
      if (known === undefined) values.set(shown, { path, paths: new Set([path]) });
      else known.paths.add(path);
    },
  });
  if (range === undefined) return undefined;
  return {
    range,
    values: [...values].map(([value, { path, paths }]) => ({ path, value, others: paths.size - 1 })),
  };
}

/** undefined for what is no value to a person: a layer, an error. */
function show(value: Value): string | undefined {
  switch (value.kind) {
    case "instance":
    case "repeated":
    case "error":
      return undefined;
    case "string":
      return JSON.stringify(value.value);
    case "tuple":
    case "list": {
      const parts = value.elements.map((element) => show(element) ?? "?").join(", ");
      return value.kind === "tuple" ? `(${parts})` : `[${parts}]`;
    }
    default:
      return display(value);
  }
}
