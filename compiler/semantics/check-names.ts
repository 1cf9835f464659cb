import type { Diagnostic } from "../diagnostics/index.ts";
import type { FileScope } from "./declarations.ts";

export function checkNames(_scopes: Iterable<FileScope>, _report: (d: Diagnostic) => void): void {}
