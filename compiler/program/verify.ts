import { elementSizeBytes } from "./buffer-bytes.ts";
import type { BufferRange, Program, ProgramEntry, ProgramStep } from "./types.ts";

/** A plan that a device would refuse or that reads what nothing wrote: always a compiler bug. */
export class PlanError extends Error {
  override readonly name = "PlanError";
}

/**
 * Checks the plan of every entry against the rules of WebGPU and against itself: kernels exist and bind as many buffers as
 * they declare, ranges are aligned and inside their buffers, a buffer has one kind of access in a dispatch and writable
 * ranges lie apart, limits of the profile hold, and scratch memory is written before it is only read.
 * @throws PlanError naming entry, step and what is wrong
 */
export function verifyProgram(program: Program): void {
  const sizes = new Map(program.buffers.map((buffer) => [buffer.name, buffer]));
  for (const [name, entry] of Object.entries(program.entries)) {
    if (entry === undefined) continue;
    verifyEntry(program, entry, sizes, (step, text) => {
      throw new PlanError(`${name}, step ${step}: ${text}`);
    });
  }
}

function verifyEntry(
  program: Program,
  entry: ProgramEntry,
  buffers: ReadonlyMap<string, Program["buffers"][number]>,
  fail: (step: number, text: string) => never,
): void {
  const { profile } = program;
  const written = new Map<string, BufferRange[]>();
  const inside = (at: number, range: BufferRange, alignment: number): void => {
    const buffer = buffers.get(range.buffer);
    if (buffer === undefined) fail(at, `there is no buffer ${range.buffer}`);
    else if (range.offsetBytes + range.sizeBytes > buffer.sizeBytes)
      fail(at, `${format(range)} ends beyond its buffer`);
    if (range.offsetBytes % alignment !== 0) fail(at, `${format(range)} is not aligned to ${alignment}`);
    if (range.sizeBytes <= 0 || range.sizeBytes % 4 !== 0) fail(at, `${format(range)} has no such size`);
  };
  const wasWritten = (range: BufferRange): boolean =>
    buffers.get(range.buffer)?.role !== "scratch" ||
    (written.get(range.buffer) ?? []).some((other) => overlap(other, range));
  const write = (range: BufferRange): void => {
    const list = written.get(range.buffer);
    if (list === undefined) written.set(range.buffer, [range]);
    else if (!list.some((other) => covers(other, range))) list.push(range);
  };
  entry.steps.forEach((step, at) => {
    if (step.kind === "clear") {
      inside(at, step.range, 4);
      write(step.range);
    } else if (step.kind === "copy") {
      inside(at, step.from, 4);
      inside(at, step.to, 4);
      if (step.from.buffer === step.to.buffer) fail(at, `copies within ${step.from.buffer}`);
      if (step.from.sizeBytes !== step.to.sizeBytes) fail(at, "copies between ranges of two sizes");
      if (!wasWritten(step.from)) fail(at, `copies ${format(step.from)} before anything is written there`);
      write(step.to);
    } else {
      verifyDispatch(program, step, (text) => fail(at, `${step.label}: ${text}`));
      const { bindings } = program.kernels[step.kernel]!;
      step.bindings.forEach((range, i) => {
        inside(at, range, profile.minStorageBufferOffsetAlignment);
        if (range.sizeBytes > profile.maxStorageBufferBindingSize)
          fail(at, `${format(range)} is too large to bind`);
        if (bindings[i]?.access === "read" && !wasWritten(range)) {
          fail(at, `${step.label} reads ${format(range)} before anything is written there`);
        }
      });
      step.bindings.forEach((range, i) => {
        if (bindings[i]?.access === "read_write") write(range);
      });
    }
  });
  for (const output of entry.outputs) {
    const sizeBytes = output.shape.reduce((n, size) => n * size, elementSizeBytes(output.dtype));
    const range = { buffer: output.buffer, offsetBytes: output.offsetBytes, sizeBytes };
    inside(entry.steps.length, range, 4);
    if (!wasWritten(range)) fail(entry.steps.length, `nothing writes the output ${output.name}`);
  }
}

function verifyDispatch(
  program: Program,
  step: Extract<ProgramStep, { kind: "dispatch" }>,
  fail: (text: string) => never,
): void {
  const { profile } = program;
  const kernel = program.kernels[step.kernel];
  if (kernel === undefined) fail(`there is no kernel ${step.kernel}`);
  if (kernel.bindings.length !== step.bindings.length) {
    fail(`${step.bindings.length} ranges for ${kernel.bindings.length} bindings`);
  }
  if (kernel.bindings.length > profile.maxStorageBuffersPerShaderStage) {
    fail(
      `${kernel.bindings.length} storage buffers, the device has ${profile.maxStorageBuffersPerShaderStage}`,
    );
  }
  const drafted = (kernel?.drafts ?? []).flatMap(({ workgroups }) => workgroups);
  for (const count of [...step.workgroups, ...drafted]) {
    if (count < 1 || count > profile.maxComputeWorkgroupsPerDimension)
      fail(`${count} workgroups in a dimension`);
  }
  step.bindings.forEach((range, i) => {
    step.bindings.slice(0, i).forEach((other, j) => {
      if (range.buffer !== other.buffer) return;
      const access = kernel.bindings[i]!.access;
      if (access !== kernel.bindings[j]!.access) fail(`${range.buffer} is bound both read-only and writable`);
      if (access === "read_write" && overlap(range, other))
        fail(`${format(range)} and ${format(other)} overlap`);
    });
  });
}

function overlap(a: BufferRange, b: BufferRange): boolean {
  return (
    a.buffer === b.buffer &&
    a.offsetBytes < b.offsetBytes + b.sizeBytes &&
    b.offsetBytes < a.offsetBytes + a.sizeBytes
  );
}

function covers(a: BufferRange, b: BufferRange): boolean {
  return a.offsetBytes <= b.offsetBytes && a.offsetBytes + a.sizeBytes >= b.offsetBytes + b.sizeBytes;
}

function format(range: BufferRange): string {
  return `${range.buffer}+${range.offsetBytes} (${range.sizeBytes} bytes)`;
}
