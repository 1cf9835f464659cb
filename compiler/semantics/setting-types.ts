import type { Span } from "../diagnostics/index.ts";
import type { SettingTypeName } from "../syntax/index.ts";
import type { Analysis } from "./analysis.ts";
import { notSetting } from "./errors.ts";
import { exactInt } from "./numbers.ts";
import { errorValue, intValue, isNumber, type Value } from "./value.ts";

/** A setting of the wanted type, or the error value. A `dim` is an int of at least 1. */
export function toSetting(
  a: Analysis,
  value: Value,
  type: SettingTypeName | "error",
  span: Span,
  what: string,
  declared: Span | undefined,
): Value {
  if (value.kind === "error" || type === "error") return errorValue;
  switch (type) {
    case "dim":
    case "int": {
      const int = exactInt(value);
      if (int === undefined || (type === "dim" && int < 1))
        return a.fail(notSetting(span, what, type, value, declared));
      return value.kind === "int" ? value : intValue(int);
    }
    case "float":
      return isNumber(value)
        ? { kind: "float", value: value.value }
        : a.fail(notSetting(span, what, type, value, declared));
    case "bool":
    case "string":
      return value.kind === type ? value : a.fail(notSetting(span, what, type, value, declared));
    default:
      return type satisfies never;
  }
}
