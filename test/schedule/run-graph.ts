import { assembleAlone } from "../../compiler/assemble/index.ts";
import { elementCount, type Graph, type Leaves, type Tensor, tensor } from "../../compiler/graph/index.ts";
import { partsOf, tensorsWritten } from "../../compiler/kernel/index.ts";
import { emulateF16 } from "../../compiler/precision/index.ts";
import type { DType, Program, Tuning } from "../../compiler/program/index.ts";
import { type FusionRule, type Schedule, schedule } from "../../compiler/schedule/index.ts";
import { printKernel } from "../../compiler/wgsl/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { createExecutor } from "../../runtime/execute/index.ts";

/** A graph alone as a program with one entry, `evaluate`. Parameters are inputs. */
export function programOf(
  graph: Graph,
  profile: Program["profile"],
  fuse: boolean,
  without: readonly FusionRule[] = [],
  tuning: Tuning = {},
): Program {
  const states = graph.nodes.flatMap((node) =>
    node.op === "state" ? [{ name: node.attrs.name, sizeBytes: 4 * elementCount(node.attrs.shape) }] : [],
  );
  const planned = schedule(profile.f16 ? graph : emulateF16(graph), profile, { fuse, without, tuning });
  expectNoHazards(planned);
  return assembleAlone("graph", profile, {
    states,
    entries: { evaluate: planned },
    print: printKernel,
  });
}

/** What runs side by side in one dispatch has no order: nothing that one kernel writes may be touched by another. */
export function expectNoHazards(planned: Schedule): void {
  for (const step of planned.steps) {
    if (step.kind !== "dispatch") continue;
    const rangeOf = new Map(step.kernel.tensors.map((t, i) => [t.tensor, step.bindings[i]!]));
    const parts = partsOf(step.kernel);
    for (const writer of parts)
      for (const written of tensorsWritten(writer))
        for (const other of parts)
          for (const { tensor: touched } of other === writer ? [] : other.tensors) {
            const [a, b] = [rangeOf.get(written)!, rangeOf.get(touched)!];
            const apart =
              a.buffer !== b.buffer ||
              a.offsetBytes + a.sizeBytes <= b.offsetBytes ||
              b.offsetBytes + b.sizeBytes <= a.offsetBytes;
            if (!apart) throw new Error(`${step.label}: ${writer.name} writes what ${other.name} touches`);
          }
  }
}

export interface DeviceResult {
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly updates: ReadonlyMap<string, Tensor>;
  readonly program: Program;
}

/** Runs a graph once on a device, with the same leaves as `evaluate` takes. */
export async function runOnDevice(
  graph: Graph,
  leaves: Leaves,
  kiln: KilnDevice,
  fuse: boolean,
  without: readonly FusionRule[] = [],
  tuning: Tuning = {},
): Promise<DeviceResult> {
  const program = programOf(graph, kiln.profile, fuse, without, tuning);
  const executor = await createExecutor(program, kiln);
  try {
    const fields: Record<string, Int32Array | Float32Array | Uint32Array> = {};
    for (const node of graph.nodes) {
      if (node.op === "input" || node.op === "parameter") {
        const value = (node.op === "input" ? leaves.inputs : leaves.parameters)?.get(node.attrs.name);
        fields[node.attrs.name] = toDevice(value!);
      } else if (node.op === "state" && executor.memory.has(node.attrs.name)) {
        executor.memory.write(node.attrs.name, 0, toDevice(leaves.states!.get(node.attrs.name)!));
      }
    }
    const results = await executor.run("evaluate", fields);
    const outputs = new Map<string, Tensor>();
    for (const { name, node } of graph.outputs) {
      const { type } = graph.nodes[node]!;
      const { data } = results[name]!;
      outputs.set(name, tensor(type, data));
    }
    const updates = new Map<string, Tensor>();
    for (const { state, node } of graph.updates) {
      const { type } = graph.nodes[node]!;
      updates.set(
        state,
        tensor(type, await readState(executor, state, type.dtype, elementCount(type.shape))),
      );
    }
    return { outputs, updates, program };
  } finally {
    executor.destroy();
  }
}

async function readState(
  executor: Awaited<ReturnType<typeof createExecutor>>,
  name: string,
  dtype: DType,
  count: number,
): Promise<ArrayLike<number>> {
  const bytes = new Uint8Array(4 * count);
  let at = 0;
  for await (const piece of executor.memory.read(name, 0, bytes.length)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  if (dtype === "f32") return new Float32Array(bytes.buffer);
  return dtype === "i32" ? new Int32Array(bytes.buffer) : new Uint32Array(bytes.buffer);
}

function toDevice(value: Tensor): Int32Array | Float32Array | Uint32Array {
  if (value.dtype === "f32") return Float32Array.from(value.data);
  return value.dtype === "i32" ? Int32Array.from(value.data) : Uint32Array.from(value.data);
}

/**
 * Greatest difference of `actual` from `expected`, as a share of the greatest magnitude in `expected` (at least 1e-3, below
 * which f32 sums of cancelling terms have no relative meaning). Integers and bools must be equal: any difference is infinite.
 */
export function relativeError(actual: Tensor, expected: Tensor): number {
  let scale = 1e-3;
  let worst = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const difference = Math.abs(actual.data[i]! - expected.data[i]!);
    if (expected.dtype !== "f32" && difference !== 0) return Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(expected.data[i]!));
    if (!(difference <= worst)) worst = difference;
  }
  return worst / scale;
}
