import { assembleAlone } from "../../compiler/assemble/index.ts";
import { GraphBuilder } from "../../compiler/graph/index.ts";
import { type Expr, KernelBuilder, type KernelTensor, type MapKernel } from "../../compiler/kernel/index.ts";
import type { DeviceProfile, Program } from "../../compiler/program/index.ts";
import { type Schedule, schedule } from "../../compiler/schedule/index.ts";
import { printKernel } from "../../compiler/wgsl/index.ts";
import type { KilnDevice } from "../../runtime/device/index.ts";
import { createExecutor, type DispatchTime } from "../../runtime/execute/index.ts";

/** What a device can do at most, measured on it. */
export interface Roofline {
  /** Bytes read and written a second by a copy of tensors larger than its caches. */
  readonly bytesPerSecond: number;
  /** f32 operations a second: the best of chains of `v * x + y` in registers and of a large matmul. */
  readonly flopsPerSecond: number;
  /** f32 operations a second of the matmul alone, which also has to load what it multiplies. */
  readonly matmulFlopsPerSecond: number;
}

interface Sizes {
  /** Elements of the copied tensor: with its copy well above the last cache. */
  readonly copied: number;
  /** Elements for each of which `CHAINS` times `CHAIN_STEPS` multiply-adds are done. */
  readonly chained: number;
  /** Rows, columns and terms of the matmul. */
  readonly matmul: number;
}

/** Some hundredths of a second each on two cores, tenths of a millisecond on a large GPU. */
const sizesFor: Readonly<Record<DeviceProfile["deviceClass"], Sizes>> = {
  software: { copied: 2 ** 24, chained: 2 ** 18, matmul: 512 },
  gpu: { copied: 2 ** 25, chained: 2 ** 24, matmul: 4096 },
};

/** Independent chains hide the latency of one step; they are long, so that loads do not count. */
const CHAINS = 8;
const CHAIN_STEPS = 32;
/** The best of so many runs: noise only ever takes time. */
const RUNS = 5;

/**
 * @returns undefined where the device cannot time its dispatches
 * @throws KilnError `machine` where the device has no memory for it (128 MiB on the software device, 256 MiB on a GPU)
 */
export async function measureRoofline(kiln: KilnDevice): Promise<Roofline | undefined> {
  if (!kiln.features.has("timestamp-query")) return undefined;
  const sizes = sizesFor[kiln.profile.deviceClass];
  const executor = await createExecutor(rooflineProgram(kiln.profile, sizes), kiln, { drafts: false });
  try {
    const operand = new Float32Array(sizes.matmul ** 2).fill(0.5);
    const best = new Map<string, number>();
    const keep = (times: readonly DispatchTime[]): void => {
      for (const { label, milliseconds } of times)
        best.set(label, Math.min(best.get(label) ?? Number.POSITIVE_INFINITY, milliseconds));
    };
    for (let run = 0; run < RUNS; run++) {
      keep(await executor.profile("evaluate", {}));
      keep(await executor.profile("encode", { a: operand, b: operand }));
    }
    const perSecond = (label: string, amount: number): number => amount / ((best.get(label) ?? 0) / 1000);
    const matmul = perSecond("matmul", 2 * sizes.matmul ** 3);
    return {
      bytesPerSecond: Math.max(...copyWidths.map((width) => perSecond(`copy ${width}`, 8 * sizes.copied))),
      flopsPerSecond: Math.max(matmul, perSecond("chains", 2 * CHAINS * CHAIN_STEPS * sizes.chained)),
      matmulFlopsPerSecond: matmul,
    };
  } finally {
    executor.destroy();
  }
}

/** Vectors that an invocation copies: which of them is best differs between devices. */
const copyWidths = [1, 4, 16] as const;

/** Two entries: `evaluate` copies and chains, `encode` multiplies matrices. */
function rooflineProgram(profile: DeviceProfile, sizes: Sizes): Program {
  const b = new GraphBuilder({ path: "", at: "", label: "matmul", pass: "roofline" });
  const shape = [sizes.matmul, sizes.matmul];
  const [left, right] = [b.input("a", "f32", shape), b.input("b", "f32", shape)];
  b.output("matmul", b.einsum(left, right, { lhs: [0, 1], rhs: [1, 2], out: [0, 2] }));
  return assembleAlone("roofline", profile, {
    entries: { evaluate: mapsSchedule(profile, sizes), encode: schedule(b.build(), profile, { fuse: true }) },
    print: printKernel,
  });
}

function mapsSchedule(profile: DeviceProfile, sizes: Sizes): Schedule {
  const kernels = [
    ...copyWidths.map((width) =>
      mapKernel(profile, {
        name: `copy ${width}`,
        count: sizes.copied,
        perInvocation: width,
        value: (x) => x,
      }),
    ),
    mapKernel(profile, { name: "chains", count: sizes.chained, perInvocation: 1, value: chains }),
  ];
  return {
    steps: kernels.map((kernel) => ({
      kind: "dispatch",
      kernel,
      bindings: kernel.tensors.map(({ name, elementCount }) => ({
        buffer: name,
        offsetBytes: 0,
        sizeBytes: 4 * elementCount,
      })),
      label: kernel.name,
      bytesRead: 4 * kernel.axis.extent,
      bytesWritten: 4 * kernel.axis.extent,
      reads: [0],
      writes: [1],
      nodes: [],
    })),
    outputs: [],
    inputs: [],
    scratch: ["t_from", "t_to"].map((name) => ({
      name,
      sizeBytes: 4 * Math.max(sizes.copied, sizes.chained),
    })),
    nodes: [],
    values: [],
    unfused: [],
    apart: [],
    arenaTensors: [],
  };
}

interface MapOptions {
  readonly name: string;
  readonly count: number;
  readonly perInvocation: number;
  /** What is stored for an element `x`. */
  readonly value: (x: Expr, b: KernelBuilder) => Expr;
}

function mapKernel(profile: DeviceProfile, { name, count, perInvocation, value }: MapOptions): MapKernel {
  const b = new KernelBuilder();
  const axis = b.axis("i", count, 4);
  const tensor = (id: number, called: string, access: KernelTensor["access"]): KernelTensor => ({
    tensor: id,
    name: called,
    dtype: "f32",
    elementCount: count,
    access,
    comment: `f32[${count}]`,
  });
  return {
    kind: "map",
    name,
    comments: [],
    tensors: [tensor(0, "t_from", "read"), tensor(1, "t_to", "read_write")],
    axis,
    width: 4,
    vectorsPerInvocation: perInvocation,
    stores: [{ tensor: 1, index: axis, value: value(b.load("f32", 0, axis), b) }],
    workgroupSize: profile.deviceClass === "software" ? 16 : 64,
    flops: 0,
    rules: [],
  };
}

/** The sum of `CHAINS` chains of `v = v * x + x`. */
function chains(x: Expr, b: KernelBuilder): Expr {
  const ends = Array.from({ length: CHAINS }, (_, chain) => {
    let v = b.call("add", x, b.constant("f32", chain + 1));
    for (let step = 0; step < CHAIN_STEPS; step++) v = b.call("add", b.call("mul", v, x), x);
    return v;
  });
  return ends.reduce((sum, end) => b.call("add", sum, end));
}
