import { basename } from "node:path";
import type { Program } from "../compiler/program/index.ts";
import type { Checkpoint } from "../runtime/checkpoint/index.ts";
import type { Console } from "./console.ts";
import { Failure } from "./failure.ts";
import { isProgramFile, openProgram } from "./programs.ts";
import { carriedLoader, readTextFile, type SourceLoader, type SpecCompilation } from "./spec.ts";

/**
 * The spec that a checkpoint carries: the path of its root, and where its texts come from.
 * @throws Failure for a checkpoint of a spec of another name
 */
export function openCheckpointSpec(
  spec: string,
  checkpoint: Checkpoint,
  console: Console,
): { readonly root: string; readonly loader: SourceLoader } {
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
  return { root: root.path, loader: carriedLoader(checkpoint.sources) };
}

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
  const { root, loader } = openCheckpointSpec(spec, checkpoint, console);
  const { program } = await openProgram(root, console, {
    ...options,
    settings: { ...checkpoint.overrides, ...options.settings },
    precision: checkpoint.precision,
    loader,
  });
  return program;
}
