import { initializerSettings } from "./initializers.ts";
import type { SettingSpec } from "./recipe-calls.ts";
import { clipSignatures, optimizerSignatures, scheduleSignatures } from "./train.ts";
import { display } from "./value.ts";

/** Where such a call stands: the value of `optimizer`, of an optimizer's `lr`, of `clip`, or of a `param`. */
export type RecipeKind = "optimizer" | "learning rate" | "clip" | "initializer";

/** How a call is written that no spec declares, for editors. */
export interface RecipeSignature {
  readonly kind: RecipeKind;
  readonly name: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly type: SettingSpec["type"];
    /** As it would be written; absent where an argument must be given. */
    readonly default?: string;
  }[];
}

const signaturesOf = (
  kind: RecipeKind,
  settings: ReadonlyMap<string, readonly SettingSpec[]>,
): RecipeSignature[] =>
  [...settings].map(([name, specs]) => ({
    kind,
    name,
    parameters: specs.map(({ name: parameter, type, fallback }) => ({
      name: parameter,
      type,
      ...(fallback !== undefined && { default: fallback.kind === "list" ? "[]" : display(fallback) }),
    })),
  }));

export const recipeSignatures: readonly RecipeSignature[] = [
  ...signaturesOf("optimizer", optimizerSignatures),
  ...signaturesOf("learning rate", scheduleSignatures),
  ...signaturesOf("clip", clipSignatures),
  ...signaturesOf("initializer", initializerSettings),
];
