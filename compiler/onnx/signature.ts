import type { TypedModel } from "../semantics/index.ts";

/*
 * What the exported model's inputs and outputs are called, and what they mean, where that differs from the spec. The caller
 * knows the world's conventions (`input_ids`, `attention_mask`); the translation knows none by name.
 */

/** What an input of the spec is made of. */
export type InputRole =
  /** An input of another name. */
  | { readonly kind: "renamed"; readonly name: string }
  /**
   * i32 [B]: how many elements of each row of the input `name`, int64 [B, T], are 1. `like`: the spec's input that has the
   * shape [B, T].
   */
  | { readonly kind: "count"; readonly name: string; readonly like: string }
  /** i32 [B, P]: 0 .. T-1 in each row, where `like`, an input of the spec, has the shape [B, T]. No input of the model. */
  | { readonly kind: "every"; readonly like: string };

export interface OnnxSignature {
  /** By the spec's name; inputs that are not here stay as they are. */
  readonly inputs: Readonly<Record<string, InputRole>>;
  /** New names by the spec's. */
  readonly outputs: Readonly<Record<string, string>>;
  /** What sizes of the `data` line are called in shapes. */
  readonly sizes: Readonly<Record<string, string>>;
}

export const plainSignature: OnnxSignature = { inputs: {}, outputs: {}, sizes: {} };

/**
 * The role of an input, where it can have it: its shape and type are as the role says, and the input that it is `like` is
 * there.
 */
export function roleOf(
  signature: OnnxSignature,
  model: TypedModel,
  name: string,
  read: ReadonlyMap<string, readonly number[]>,
): InputRole | undefined {
  const role = Object.hasOwn(signature.inputs, name) ? signature.inputs[name] : undefined;
  if (role === undefined || role.kind === "renamed") return role;
  const input = model.inputs.find((i) => i.name === name);
  const like = model.inputs.find((i) => i.name === role.like);
  const rank = role.kind === "count" ? 1 : 2;
  const fits =
    input?.dtype === "i32" &&
    input.shape.length === rank &&
    like?.shape.length === 2 &&
    like.shape[0] === input.shape[0] &&
    read.has(role.like);
  return fits ? role : undefined;
}
