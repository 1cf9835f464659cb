import type { Diagnostic } from "../diagnostics/index.ts";
import type { SettingItem } from "../syntax/index.ts";
import type { Analysis } from "./analysis.ts";
import type { FileScope } from "./declarations.ts";
import { settingCycle, settingOverride, unknownOverride } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { emptyScope, Scope } from "./scope.ts";
import { toSetting } from "./setting-types.ts";
import { boolValue, errorValue, intValue, type Value } from "./value.ts";

/** The settings of a spec: each evaluated once, when first asked for, with the overrides of the command line. */
export class Settings {
  readonly #values = new Map<SettingItem, Value | "evaluating">();
  readonly #overrides: ReadonlyMap<SettingItem, Value>;
  readonly #analysis: () => Analysis;

  constructor(overrides: ReadonlyMap<SettingItem, Value>, analysis: () => Analysis) {
    this.#overrides = overrides;
    this.#analysis = analysis;
  }

  valueOf(item: SettingItem, file: FileScope): Value {
    const known = this.#values.get(item);
    const a = this.#analysis();
    if (known === "evaluating") return a.fail(settingCycle(item));
    if (known !== undefined) return known;
    this.#values.set(item, "evaluating");
    const value = named(this.#overrides.get(item) ?? this.#default(item, file), item);
    this.#values.set(item, value);
    a.observe?.(item.name.span, "", value);
    return value;
  }

  #default(item: SettingItem, file: FileScope): Value {
    const a = this.#analysis();
    const value = evaluate(a, item.value, { scope: new Scope(emptyScope), file, path: "" });
    return toSetting(
      a,
      value,
      item.type.name,
      item.value.span,
      `setting \`${item.name.text}\``,
      item.type.span,
    );
  }
}

function named(value: Value, item: SettingItem): Value {
  if (value.kind !== "int") return value;
  return intValue(value.value, { size: value.value, name: item.name.text, at: item.span });
}

/**
 * Reads overrides (`--set name=value`) as values of the settings that the root file sees.
 * @param report for unknown names and texts that are no value of the setting's type
 */
export function readOverrides(
  texts: Readonly<Record<string, string>>,
  root: FileScope,
  report: (d: Diagnostic) => void,
): ReadonlyMap<SettingItem, Value> {
  const overrides = new Map<SettingItem, Value>();
  for (const [name, text] of Object.entries(texts)) {
    const start = { file: root.file.source.name, start: 0, end: 0 };
    const found = root.find(name, start);
    if (found?.declaration.kind !== "setting") {
      report(unknownOverride(name, root.namesOf("setting"), start));
      continue;
    }
    const item = found.declaration;
    const value = readValue(text, item.type.name);
    if (value === undefined) report(settingOverride(item, text));
    overrides.set(item, value ?? errorValue);
  }
  return overrides;
}

export function readValue(text: string, type: SettingItem["type"]["name"]): Value | undefined {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  switch (type) {
    case "dim":
    case "int":
      return Number.isSafeInteger(number) && (type === "int" || number >= 1) ? intValue(number) : undefined;
    case "float":
      return Number.isFinite(number) ? { kind: "float", value: number } : undefined;
    case "bool":
      return text === "true" || text === "false" ? boolValue(text === "true") : undefined;
    case "string":
      return { kind: "string", value: text };
    case "error":
      return errorValue;
    default:
      return type satisfies never;
  }
}
