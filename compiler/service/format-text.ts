import { type FormatResult, format } from "../syntax/index.ts";

/** The text as `fmt` writes it; or its syntax errors, with which it stays as it is. */
export function formatText(text: string): FormatResult {
  return format({ name: "", text });
}
