import { basename } from "node:path";
import type { Program } from "../compiler/program/index.ts";
import type { Checkpoint } from "../runtime/checkpoint/index.ts";
import type { Console } from "./console.ts";
import { Failure } from "./failure.ts";
import { isProgramFile, openProgram } from "./programs.ts";
import { carriedLoader, readTextFile, type SpecCompilation } from "./spec.ts";

/**
 * Compiles a checkpoint's spec again, from the text it was trained with, for other entries or another batch.
 *
 * The spec that a person names beside the checkpoint says which model is meant: one of another name is refused, and one that
 * was changed since is said to be set aside.
 */
export async function recompile(
  spec: string,
  checkpoint: Checkpoint,
  console: Console,
  options: Omit<SpecCompilation, "loader">,
): Promise<Program> {
  const [root] = checkpoint.sources;
  if (root === undefined)
    throw new Failure(1, { message: `${checkpoint.path} holds no spec`, file: checkpoint.path });
  if (!isProgramFile(spec)) {
    if (basename(root.path) !== basename(spec)) {
      throw new Failure(1, {
        message: `${checkpoint.path} was trained from ${root.path}, not from ${spec}`,
        file: checkpoint.path,
        hint: `name ${root.path}, or the checkpoint of ${spec}`,
      });
    }
    const text = readTextFile(spec);
    if (text === undefined) throw new Failure(1, { message: `${spec}: no such file`, file: spec });
    if (text !== root.text) console.note(`${spec} has changed since: the checkpoint's own copy is used`);
  }
  const { program } = await openProgram(root.path, console, {
    ...options,
    settings: { ...checkpoint.overrides, ...options.settings },
    precision: checkpoint.precision,
    loader: carriedLoader(checkpoint.sources),
  });
  return program;
}
