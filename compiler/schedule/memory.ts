/** A tensor to place: its size and the first and last step that touches it, counted from 0, inclusive. */
export interface LiveRange {
  readonly id: number;
  readonly sizeBytes: number;
  readonly first: number;
  readonly last: number;
}

export interface Placement {
  readonly arena: number;
  readonly offsetBytes: number;
}

/**
 * Places tensors in arenas so that no two that are alive together overlap.
 * @param alignment bytes (`minStorageBufferOffsetAlignment`)
 * @param maxArenaBytes a further arena is opened where one would grow beyond it
 * @returns a place for each id and the size of each arena; greedy by size, so an upper bound, not the optimum
 * @throws RangeError where one tensor alone is larger than an arena may be (its id is in the message)
 * @see Pisarchyk and Lee 2020, arXiv:2001.03288, greedy by size
 */
export function planMemory(
  ranges: readonly LiveRange[],
  alignment: number,
  maxArenaBytes: number,
): { readonly places: ReadonlyMap<number, Placement>; readonly arenaBytes: readonly number[] } {
  const places = new Map<number, Placement>();
  const arenas: { placed: (LiveRange & { offset: number })[]; size: number }[] = [];
  const aligned = (n: number) => Math.ceil(n / alignment) * alignment;
  const bySize = [...ranges].sort((a, b) => b.sizeBytes - a.sizeBytes || a.first - b.first || a.id - b.id);
  for (const range of bySize) {
    const size = aligned(range.sizeBytes);
    if (size > maxArenaBytes) throw new RangeError(`tensor ${range.id} takes ${size} bytes`);
    for (let arena = 0; ; arena++) {
      if (arena === arenas.length) arenas.push({ placed: [], size: 0 });
      const space = arenas[arena]!;
      const { placed } = space;
      const offset = firstGap(
        placed.filter((p) => p.first <= range.last && range.first <= p.last),
        size,
        aligned,
      );
      if (offset + size > maxArenaBytes) continue;
      placed.push({ ...range, offset });
      space.size = Math.max(space.size, offset + size);
      places.set(range.id, { arena, offsetBytes: offset });
      break;
    }
  }
  return { places, arenaBytes: arenas.map((a) => a.size) };
}

/** The lowest offset at which `size` bytes fit between those alive at the same time. */
function firstGap(
  alive: readonly { readonly offset: number; readonly sizeBytes: number }[],
  size: number,
  aligned: (n: number) => number,
): number {
  let offset = 0;
  for (const other of [...alive].sort((a, b) => a.offset - b.offset)) {
    if (offset + size <= other.offset) break;
    offset = Math.max(offset, aligned(other.offset + other.sizeBytes));
  }
  return offset;
}
