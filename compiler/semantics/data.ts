import type { DataDeclaration } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { dimensionSize } from "./dimensions.ts";
import { dataCall, fieldType, notData, unknownData, unknownOverride, wrongDataOverride } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import type { DataSource, TypedInput } from "./model.ts";
import { emptyScope, Scope } from "./scope.ts";
import { readValue } from "./settings.ts";
import { bindParameters, type Given } from "./signature.ts";
import type { TrainEntries } from "./train.ts";
import { type Dim, errorValue, type Value } from "./value.ts";

export interface ReadData {
  readonly declaration: DataDeclaration;
  readonly source: DataSource;
  readonly dims: ReadonlyMap<string, readonly Dim[]>;
}

/** The `data` line: its declaration with settings bound and the fields' sizes. */
export function readData(
  a: Analysis,
  entries: TrainEntries,
  env: Env,
  overrides: Readonly<Record<string, string>>,
): ReadData | undefined {
  const expression = entries.get("data")?.value;
  if (expression === undefined || expression.kind === "error") return undefined;
  if (expression.kind !== "call" || expression.callee.kind !== "name") {
    a.report(dataCall(expression.span));
    return undefined;
  }
  const { callee } = expression;
  const found = env.file.find(callee.text, callee.span);
  if (found === undefined) {
    a.report(unknownData(callee, env.file.namesOf("data")));
    return undefined;
  }
  if (found.declaration.kind !== "data") {
    a.report(notData(callee, found.declaration.name.span));
    return undefined;
  }
  const { declaration } = found;
  const given = expression.args.map((argument, i): Given => {
    const name = argument.name ?? declaration.parameters[i]?.name;
    const override =
      name === undefined || !Object.hasOwn(overrides, name.text) ? undefined : overrides[name.text];
    const value =
      override === undefined
        ? evaluate(a, argument.value, env)
        : overridden(a, declaration, name?.text, override);
    return argument.name === undefined
      ? { value, span: argument.value.span }
      : { name: argument.name, value, span: argument.value.span };
  });
  const positions = new Set(
    expression.args.map((argument, i) => argument.name?.text ?? declaration.parameters[i]?.name.text),
  );
  for (const [name, text] of Object.entries(overrides)) {
    if (positions.has(name)) continue;
    const parameter = declaration.parameters.find((p) => p.name.text === name);
    if (parameter === undefined) {
      a.report(
        unknownOverride(
          name,
          declaration.parameters.map((p) => p.name.text),
          callee.span,
        ),
      );
    } else
      given.push({
        name: parameter.name,
        value: overridden(a, declaration, name, text),
        span: parameter.span,
      });
  }
  const inner: Env = { scope: new Scope(emptyScope), file: found.scope, path: "" };
  const bound = bindParameters(a, callee.text, declaration.parameters, given, expression.span, inner);
  if (bound.failed) return undefined;
  const settings: Record<string, number | string> = {};
  for (const { name } of declaration.parameters) {
    const value = inner.scope.lookup(name.text)?.value;
    if (value?.kind === "int" || value?.kind === "float" || value?.kind === "string")
      settings[name.text] = value.value;
    else if (value?.kind === "bool") settings[name.text] = value.value ? 1 : 0;
  }
  const fields: TypedInput[] = [];
  const dims = new Map<string, readonly Dim[]>();
  for (const field of declaration.fields) {
    const { type } = field;
    if (type.kind === "errorType") return undefined;
    if (type.kind !== "tensorType" || type.dtype === "bool" || type.dims.some((d) => d.kind === "ellipsis")) {
      a.report(fieldType(field));
      return undefined;
    }
    const sizes: Dim[] = [];
    for (const dimension of type.dims) {
      const size = dimension.kind === "ellipsis" ? undefined : dimensionSize(a, dimension, inner);
      if (size === undefined) return undefined;
      sizes.push(size.outer ?? size);
    }
    fields.push({ name: field.name.text, dtype: type.dtype, shape: sizes.map((d) => d.size) });
    dims.set(field.name.text, sizes);
  }
  return { declaration, source: { kind: callee.text, settings, fields }, dims };
}

function overridden(
  a: Analysis,
  declaration: DataDeclaration,
  name: string | undefined,
  text: string,
): Value {
  const parameter = declaration.parameters.find((p) => p.name.text === name);
  if (parameter?.type.kind !== "settingType") return errorValue;
  const value = readValue(text, parameter.type.name);
  return value ?? a.fail(wrongDataOverride(parameter, text));
}
