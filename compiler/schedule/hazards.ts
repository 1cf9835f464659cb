import { type Kernel, tensorsWritten } from "../kernel/index.ts";
import { type Location, overlap, type Spans } from "./spans.ts";

/** Which of an order's kernels must stay before which: one writes what the other reads or writes. */
export interface Hazards {
  /** For each kernel, those earlier in the order that it must run after. */
  readonly before: readonly ReadonlySet<number>[];
  /** For each kernel, those later in the order that must run after it. */
  readonly after: readonly ReadonlySet<number>[];
}

export function hazardsOf(kernels: readonly Kernel[], spans: Spans): Hazards {
  const before = kernels.map(() => new Set<number>());
  const after = kernels.map(() => new Set<number>());
  type Touch = { readonly kernel: number; readonly at: Location };
  const touched = new Map<string, { readonly reads: Touch[]; readonly writes: Touch[] }>();
  kernels.forEach((kernel, i) => {
    const written = tensorsWritten(kernel);
    const own: { readonly at: Location; readonly writes: boolean }[] = kernel.tensors.map(({ tensor }) => ({
      at: spans.locationOf(tensor),
      writes: written.has(tensor),
    }));
    for (const { at, writes } of own) {
      const known = touched.get(at.base);
      if (known === undefined) continue;
      for (const other of writes ? [...known.writes, ...known.reads] : known.writes) {
        if (!overlap(at, other.at)) continue;
        before[i]!.add(other.kernel);
        after[other.kernel]!.add(i);
      }
    }
    for (const { at, writes } of own) {
      let known = touched.get(at.base);
      if (known === undefined) {
        known = { reads: [], writes: [] };
        touched.set(at.base, known);
      }
      // What is written may be read as well: a state in place.
      (writes ? known.writes : known.reads).push({ kernel: i, at });
    }
  });
  return { before, after };
}
