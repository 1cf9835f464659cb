/** No spec is so long. */
const specLimitBytes = 256 * 1024;
/** As the runtime's own limit for a text. */
const textLimitBytes = 256 * 2 ** 20;

export type DroppedKind = "spec" | "text" | "checkpoint";

/** What a file is taken for, by its name; undefined where it is none of these. */
export function kindOf(name: string): DroppedKind | undefined {
  if (name.endsWith(".bert")) return "spec";
  if (name.endsWith(".safetensors")) return "checkpoint";
  return /\.(?:txt|tokens|text|md)$/.test(name) ? "text" : undefined;
}

/** @returns why a file is not taken; undefined where it is */
export function refusalOf({ name, size }: Pick<File, "name" | "size">): string | undefined {
  const kind = kindOf(name);
  if (kind === undefined) return `${name} is no .bert spec, .txt text or .safetensors checkpoint`;
  if (kind === "spec" && size > specLimitBytes) return `${name} is too large for a spec (${size} bytes)`;
  if (kind === "text" && size > textLimitBytes)
    return `${name} has ${Math.round(size / 2 ** 20)} MiB, and at most ${textLimitBytes / 2 ** 20} are read`;
  return undefined;
}

/** Takes files dropped anywhere on the page. Without it the browser would leave the page for the file. */
export function takeDroppedFiles(onFile: (file: File) => void): void {
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!hasFiles(event)) return;
    event.preventDefault();
    for (const file of event.dataTransfer?.files ?? []) onFile(file);
  });
}
