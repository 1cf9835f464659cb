import { KilnError, messageOf } from "../../runtime/errors.ts";
import type { Failed, Problem } from "./messages.ts";

/** A spec that does not compile. */
export class SpecError extends Error {
  override readonly name = "SpecError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems[0]?.message ?? "the spec describes no model to train");
    this.problems = problems;
  }
}

/** Whatever was thrown, in a person's words. */
export function failureOf(thrown: unknown): Failed {
  if (thrown instanceof SpecError) {
    return {
      message: `the spec has errors: ${thrown.message}`,
      hint: "they are marked in the editor",
      problems: thrown.problems,
    };
  }
  if (!(thrown instanceof KilnError)) return { message: messageOf(thrown) };
  // Hints name options of the command line; what they are here is on the page.
  const hint = thrown.hint
    ?.replace(
      "continue from the last checkpoint with --resume",
      "continue the run from its last checkpoint below",
    )
    .replace(
      /,? ?or leave out --corpus( for the generated one)?/,
      ", or remove your text for the generated one",
    );
  return { message: thrown.message, ...(hint !== undefined && { hint }) };
}
