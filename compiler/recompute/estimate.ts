import type { MemoryUse, NodeId, PlannedVertex } from "../graph/index.ts";

/** A schedule's vertices as a decision at one step sees them. */
export class Timeline {
  readonly vertices: ReadonlyMap<NodeId, PlannedVertex>;
  readonly peakStep: number;
  /** Vertices up to the peak, by node. */
  readonly early: readonly PlannedVertex[];
  /** Steps after the peak at which an early vertex is read. */
  readonly lateReads: ReadonlyMap<NodeId, readonly number[]>;
  /** The last step up to the peak at which an early vertex is computed or read. */
  readonly lastEarly: ReadonlyMap<NodeId, number>;
  readonly #liveBytes: readonly number[];

  constructor({ vertices, liveBytes }: MemoryUse) {
    this.#liveBytes = liveBytes;
    this.vertices = new Map(vertices.map((vertex) => [vertex.node, vertex]));
    let peak = 0;
    liveBytes.forEach((bytes, step) => {
      if (bytes > liveBytes[peak]!) peak = step;
    });
    this.peakStep = peak;
    this.early = vertices.filter(({ step }) => step <= peak);
    const lateReads = new Map<NodeId, number[]>();
    const lastEarly = new Map(this.early.map(({ node, step }) => [node, step]));
    for (const reader of vertices) {
      for (const source of reader.sources) {
        const last = lastEarly.get(source);
        if (last === undefined) continue;
        if (reader.step <= peak) lastEarly.set(source, Math.max(last, reader.step));
        else if (!lateReads.has(source)) lateReads.set(source, [reader.step]);
        else lateReads.get(source)!.push(reader.step);
      }
    }
    this.lateReads = lateReads;
    this.lastEarly = lastEarly;
  }

  /** Most bytes alive at once now. */
  get liveBytes(): number {
    return this.#liveBytes[this.peakStep] ?? 0;
  }

  /**
   * Most bytes alive at once if the vertices of `again` are computed a second time, each right before it is first read after the
   * peak, as far as can be told without fusing kernels anew: values that a kernel would keep to itself are not counted.
   */
  liveBytesWith(again: ReadonlySet<NodeId>): number {
    const change = new Float64Array(this.#liveBytes.length + 2);
    const add = (bytes: number, first: number, last: number): void => {
      if (last < first) return;
      change[first]! += bytes;
      change[last + 1]! -= bytes;
    };
    // Readers of a value made again come after it, so from the last to the first.
    const made = new Map<NodeId, { first: number; last: number }>();
    const read = (id: NodeId, step: number): void => {
      const span = made.get(id);
      if (span === undefined) made.set(id, { first: step, last: step });
      else {
        span.first = Math.min(span.first, step);
        span.last = Math.max(span.last, step);
      }
    };
    for (let i = this.early.length - 1; i >= 0; i--) {
      const { node, sizeBytes, place, sources } = this.early[i]!;
      const reads = this.lateReads.get(node) ?? [];
      const lastRead = reads.reduce((last, step) => Math.max(last, step), -1);
      const lastEarly = this.lastEarly.get(node)!;
      if (!again.has(node)) {
        const span = made.get(node);
        if (span === undefined || place === "fixed") continue;
        const last = Math.max(lastRead, place === "kernel" ? this.vertices.get(node)!.step - 1 : lastEarly);
        add(sizeBytes, last + 1, span.last);
        continue;
      }
      for (const step of reads) read(node, step);
      const span = made.get(node);
      if (span === undefined) continue;
      for (const source of sources) read(source, span.first);
      if (place !== "arena") continue;
      add(-sizeBytes, lastEarly + 1, lastRead);
      add(sizeBytes, span.first, span.last);
    }
    let bytes = 0;
    let most = 0;
    this.#liveBytes.forEach((live, step) => {
      bytes += change[step]!;
      most = Math.max(most, live + bytes);
    });
    return most;
  }
}
