/**
 * Whose mistake an error is: `user` (data, a spec or a checkpoint that cannot work; exit code 1), `usage` (a call or a
 * command line that makes no sense; exit code 2), `machine` (no device, no memory, a lost device, a full disk; exit code 3).
 */
export type KilnErrorKind = "user" | "usage" | "machine";

/** Every error the runtime throws on purpose. `message` says what is wrong, `hint` what to do about it. */
export class KilnError extends Error {
  override readonly name = "KilnError";
  readonly kind: KilnErrorKind;
  readonly hint: string | undefined;

  constructor(kind: KilnErrorKind, message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.hint = hint;
  }

  /** Process exit code that belongs to the kind. */
  get exitCode(): 1 | 2 | 3 {
    return this.kind === "user" ? 1 : this.kind === "usage" ? 2 : 3;
  }
}

/** Text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
