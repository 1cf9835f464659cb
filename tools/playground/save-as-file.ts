import { element } from "./elements.ts";

/** Hands a person a file: the browser saves it as it saves downloads. */
export function saveAsFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  element("a", { href: url, download: name }).click();
  // The browser has begun to read by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
