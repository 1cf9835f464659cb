import type { Diagnostic, Label, Span } from "../../diagnostics/index.ts";
import { nearest } from "../../diagnostics/index.ts";
import { limits } from "../limits.ts";

/** An error at one place. An undefined hint is none. */
export function error(
  code: string,
  message: string,
  span: Span,
  text: string,
  more: { readonly related?: readonly Label[]; readonly hint?: string | undefined } = {},
): Diagnostic {
  return {
    code,
    severity: "error",
    message,
    primary: { span, text },
    related: more.related ?? [],
    ...(more.hint !== undefined && { hint: more.hint }),
  };
}

/** "did you mean `hidden`?", or what there is to choose from when it is little. */
export function suggestion(name: string, known: readonly string[]): string | undefined {
  const near = known.length > limits.suggestions ? undefined : nearest(name, known);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  if (known.length === 0 || known.length > 12) return undefined;
  return `there is ${listNames(known)}`;
}

/** `a`, `b` and `c` */
export function listNames(names: readonly string[], joint = "and"): string {
  const quoted = names.map((n) => `\`${n}\``);
  const last = quoted.pop() ?? "";
  return quoted.length === 0 ? last : `${quoted.join(", ")} ${joint} ${last}`;
}

export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? "" : "s"}`;
}
