import { type Diagnostic, nearest, type Span } from "../diagnostics/index.ts";

/** Why a spec that is right cannot become an ONNX model. */
function refusal(
  code: string,
  message: string,
  span: Span,
  text: string,
  hint: string,
  related: Diagnostic["related"] = [],
): Diagnostic {
  return { code, severity: "error", message, primary: { span, text }, related, hint };
}

const start = (file: string): Span => ({ file, start: 0, end: 0 });

export function unknownOutput(file: string, name: string, known: readonly string[]): Diagnostic {
  const near = nearest(name, known);
  const list = known.map((k) => `\`${k}\``).join(", ");
  return refusal(
    "unknown-output",
    `the model has no output or head \`${name}\``,
    start(file),
    "",
    near !== undefined ? `did you mean \`${near}\`?` : known.length > 0 ? `it has ${list}` : noOutputsHint,
  );
}

const noOutputsHint = "add `output name = tensor` to its forward";

export function noOutputs(file: string): Diagnostic {
  return refusal("no-outputs", "the model has no outputs to export", start(file), "", noOutputsHint);
}

export function tooManySizes(file: string, settings: readonly string[], most: number): Diagnostic {
  const list = settings.map((s) => `\`${s}\``).join(", ");
  return refusal(
    "too-many-sizes",
    `${settings.length} sizes of the data vary (${list}), an export has at most ${most}`,
    start(file),
    "",
    "use one setting of the data for sizes that are always equal",
  );
}

export function sizesNotIndependent(settings: readonly string[], found: Diagnostic | undefined): Diagnostic {
  const list = settings.map((s) => `\`${s}\``).join(" and ");
  return refusal(
    "sizes-not-independent",
    `${list} of the data cannot each have any size: ${found?.message ?? "the model is refused"}`,
    found?.primary.span ?? start(""),
    found?.primary.text ?? "",
    "use one setting of the data for sizes that depend on each other",
    found?.related ?? [],
  );
}

export function structureVaries(span: Span, settings: readonly string[]): Diagnostic {
  const list = settings.map((s) => `\`${s}\``).join(" and ");
  return refusal(
    "structure-varies",
    `the model is another for another ${list}: it has no form for every size`,
    span,
    "not the same for every size",
    "let a setting of the model decide here, not a size of the data",
  );
}

export function sizeVaries(span: Span, what: string, settings: readonly string[]): Diagnostic {
  const list = settings.map((s) => `\`${s}\``).join(" and ");
  return refusal(
    "size-varies",
    `${what} depends on ${list}, and not as a sum of whole multiples and products`,
    span,
    "computed from a size of the data",
    "only sums, differences and products of sizes can be computed when the model runs (each size at most squared)",
  );
}

export function sizeNotAnInput(span: Span, setting: string): Diagnostic {
  return refusal(
    "size-not-an-input",
    `no input of the exported model has \`${setting}\` as an axis, so it is not known when the model runs`,
    span,
    "needs it",
    `let the outputs read a field of the data with an axis of \`${setting}\``,
  );
}
