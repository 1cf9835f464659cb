import { elementCount, elementSizeBytes, type NodeId } from "../graph/index.ts";
import { type Expr, KernelBuilder, type PartKernel, type Store, storesOf, walk } from "../kernel/index.ts";
import type { Group } from "./fuse.ts";
import type { BuildContext } from "./kernels.ts";
import { canBeRemade, type RemadeKernel, remade } from "./remake.ts";

interface Planned {
  readonly kernel: PartKernel;
  readonly group: Group;
}

/**
 * Where most bytes are alive at once, a kernel that reads a tensor for the last time, each element where it stores one of
 * a result of that size, stores it over that. The rest keeps tensors of its own, which are free to lie anywhere.
 */
export function overwriteAtPeak(context: BuildContext, planned: readonly Planned[]): readonly Planned[] {
  const made = [...planned];
  /** What was computed over a tensor, by that tensor. */
  const lying = new Map<NodeId, readonly NodeId[]>();
  for (;;) {
    const { peak, ranges } = livesOf(
      context,
      made.map(({ kernel }) => kernel),
    );
    const at = made[peak];
    if (at === undefined || !canBeRemade(at.kernel)) return made;
    const pair = overwritable(context, at.kernel, peak, ranges);
    if (pair === undefined) return made;
    made[peak] = { ...at, kernel: overwriting(at.kernel, pair) };
    context.occupied.add(pair.place);
    // A later kernel may have been given the place of this result already: it moves along.
    const moved = [pair.result, ...(lying.get(pair.result) ?? [])];
    for (const id of moved) context.homes.place(id, { kind: "piece", of: pair.place, offset: 0 });
    lying.set(pair.place, [...(lying.get(pair.place) ?? []), ...moved]);
  }
}

interface Lives {
  readonly peak: number;
  /** Of tensors with a place of their own in an arena: the first and the last kernel that touches them. */
  readonly ranges: ReadonlyMap<number, { readonly first: number; readonly last: number }>;
}

function livesOf({ work, homes, extraTensors }: BuildContext, kernels: readonly PartKernel[]): Lives {
  const ranges = new Map<number, { first: number; last: number }>();
  kernels.forEach(({ tensors }, at) => {
    for (const { tensor } of tensors) {
      const home = homes.homeOf(tensor);
      if (home.kind !== "arena" && home.kind !== "piece") continue;
      const base = home.kind === "piece" ? home.of : tensor;
      const range = ranges.get(base);
      if (range === undefined) ranges.set(base, { first: at, last: at });
      else range.last = at;
    }
  });
  for (const id of work.kept) {
    const range = ranges.get(id);
    if (range !== undefined) range.last = kernels.length;
  }
  const bytes = new Float64Array(kernels.length + 1);
  for (const [id, { first, last }] of ranges) {
    const { dtype, shape } = (extraTensors.get(id) ?? work.node(id)).type;
    for (let at = first; at <= last; at++) bytes[at]! += elementSizeBytes(dtype) * elementCount(shape);
  }
  return { peak: bytes.indexOf(Math.max(...bytes)), ranges };
}

interface Pair {
  /** Where the source lies. */
  readonly place: NodeId;
  readonly source: NodeId;
  readonly result: NodeId;
}

function overwritable(
  { work, homes }: BuildContext,
  kernel: RemadeKernel,
  at: number,
  ranges: Lives["ranges"],
): Pair | undefined {
  /** The tensor that lies where `id` does, if it has as many elements: itself, or what it was computed over. */
  const placeOf = (id: number): number | undefined => {
    const home = homes.homeOf(id);
    if (id < 0 || work.users[id]!.some((user) => isView(work.node(user)))) return undefined;
    if (home.kind === "arena") return id;
    return home.kind === "piece" && home.of >= 0 && work.count(home.of) === work.count(id)
      ? home.of
      : undefined;
  };
  const stores = storesOf(kernel);
  const written = new Set(stores.map((store) => store.tensor));
  for (const store of stores) {
    const result = store.tensor;
    if (placeOf(result) !== result || ranges.get(result)?.first !== at) continue;
    for (const { tensor: source } of kernel.tensors) {
      const place = placeOf(source);
      const range = place === undefined ? undefined : ranges.get(place);
      if (written.has(source) || place === undefined || range === undefined) continue;
      if (range.first === at || range.last !== at || work.count(source) !== work.count(result)) continue;
      if (work.node(source).type.dtype !== work.node(result).type.dtype) continue;
      if (readsOnlyWhere(kernel, store, source)) return { source, result, place };
    }
  }
  return undefined;
}

function isView({ op }: { readonly op: string }): boolean {
  return op === "view";
}

/** Whether each element of `source` is read by the invocation that then stores there, and never after. */
function readsOnlyWhere(kernel: RemadeKernel, store: Store, source: NodeId): boolean {
  const isOnlyAt = (roots: readonly Expr[]): boolean => {
    let only = true;
    walk(roots, (e) => {
      if (e.kind === "load" && e.tensor === source && e.index !== store.index) only = false;
    });
    return only;
  };
  switch (kernel.kind) {
    case "map":
      return isOnlyAt(kernel.stores.flatMap((s) => [s.index, s.value]));
    case "row": {
      // An invocation passes over the same elements in every sweep; what is read after the store would be what was stored.
      const last = kernel.sweeps.at(-1);
      if (last === undefined || last.stores.at(-1) !== store) return false;
      const isReadForRows = !isUnread(
        kernel.rowStores.flatMap((s) => [s.index, s.value]),
        source,
      );
      const bodies = kernel.sweeps.flatMap((sweep) => [
        ...sweep.reductions.map((r) => r.body),
        ...[...sweep.stores, ...sweep.columns].flatMap((s) => [s.index, s.value]),
      ]);
      return !isReadForRows && isOnlyAt(bodies);
    }
    case "matmul":
      // Where tiles overlap, elements are computed twice.
      return false;
    default:
      return kernel satisfies never;
  }
}

function isUnread(roots: readonly Expr[], source: NodeId): boolean {
  let unread = true;
  walk(roots, (e) => {
    if (e.kind === "load" && e.tensor === source) unread = false;
  });
  return unread;
}

function overwriting(kernel: RemadeKernel, { source, result }: Pair): RemadeKernel {
  const made = remade(new KernelBuilder(), kernel, {
    axis: () => undefined,
    position: () => undefined,
    place: (tensor, index) => ({ tensor: tensor === result ? source : tensor, index }),
  });
  const tensors = kernel.tensors
    .filter(({ tensor }) => tensor !== result)
    .map((t) => (t.tensor === source ? { ...t, access: "read_write" as const } : t));
  return { ...made, tensors };
}
