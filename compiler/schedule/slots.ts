import { elementCount, elementSizeBytes } from "../graph/index.ts";
import type { Kernel } from "../kernel/index.ts";
import { type Hazards, hazardsOf } from "./hazards.ts";
import type { Spans } from "./spans.ts";

/** Kernels by their number in the order that was given; of one slot none needs another. */
export type Slot = readonly number[];

/** What a kernel gains in a slot: the slot with the greatest gain is taken. Text: why it cannot be there. */
export type Judge = (slot: Slot, kernel: number) => number | string;

export interface SlotPlan {
  /** In an order that keeps every hazard. */
  readonly slots: readonly Slot[];
  readonly refusals: readonly {
    readonly slot: Slot;
    readonly kernel: number;
    readonly reason: string;
  }[];
}

/** The latest slots, in which a kernel is tried, beside all slots that touch what it touches. */
const WINDOW = 48;
/** What fewer dispatches may cost of memory, as a share of the most that is alive at once. */
const MOST_GROWTH = 1 / 64;
/** Below this it does not matter. */
const FREE_GROWTH_BYTES = 256 * 1024;

/**
 * Chooses kernels that share a slot: in the given order, each kernel joins an earlier slot after all that it needs, or draws a
 * slot that nothing has needed yet to the end of the order. Neither is done where many more bytes would then be alive at once
 * than ever are in the given order.
 * @param kept tensors that are needed after the last kernel
 * @param mayGrow whether a little more may be alive at once than in the given order
 */
export function chooseSlots(
  kernels: readonly Kernel[],
  spans: Spans,
  kept: ReadonlySet<number>,
  mayGrow: boolean,
  judge: Judge,
): SlotPlan {
  const hazards = hazardsOf(kernels, spans);
  const memory = new LiveBytes(kernels, spans, kept, mayGrow);
  const order = new Order(hazards);
  const touching = new Map<number, number[]>();
  const refusals: { slot: Slot; kernel: number; reason: string }[] = [];
  for (let kernel = 0; kernel < kernels.length; kernel++) {
    let best: { readonly at: number; readonly gain: number; readonly moved: boolean } | undefined;
    const earliest = order.earliest(kernel);
    const sharing: number[] = [];
    for (const { tensor } of kernels[kernel]!.tensors) {
      const others = touching.get(tensor);
      if (others === undefined) touching.set(tensor, [kernel]);
      else {
        sharing.push(...others);
        others.push(kernel);
      }
    }
    for (const at of order.candidates(sharing, WINDOW)) {
      const slot = order.slot(at);
      const moved = at < earliest;
      if (moved && !order.isFree(at, kernel)) continue;
      const gain = judge(slot, kernel);
      if (typeof gain === "string") {
        if (gain !== "") refusals.push({ slot, kernel, reason: gain });
        continue;
      }
      if (best !== undefined && gain < best.gain) continue;
      const fits = moved ? memory.fitsLater(slot, kernel) : memory.fitsEarlier(kernel, order.timeOf(at));
      if (!fits) {
        refusals.push({ slot, kernel, reason: "more memory would be alive at once" });
        continue;
      }
      best = { at, gain, moved };
    }
    if (best === undefined) order.append([kernel], kernel);
    else if (best.moved) {
      const slot = order.slot(best.at);
      memory.moveLater(slot, kernel);
      order.remove(best.at);
      order.append([...slot, kernel], kernel);
    } else {
      memory.moveEarlier(kernel, order.timeOf(best.at));
      order.add(best.at, kernel);
    }
  }
  return { slots: order.slots(), refusals };
}

/** Slots as they are filled. A place once given up stays empty. */
class Order {
  readonly #hazards: Hazards;
  readonly #places: { slot: number[]; time: number }[] = [];
  readonly #placeOf = new Map<number, number>();

  constructor(hazards: Hazards) {
    this.#hazards = hazards;
  }

  slot(at: number): Slot {
    return this.#places[at]!.slot;
  }

  /** The kernel in whose stead the slot stands. */
  timeOf(at: number): number {
    return this.#places[at]!.time;
  }

  /** The first place after all that a kernel must run after. */
  earliest(kernel: number): number {
    let earliest = 0;
    for (const other of this.#hazards.before[kernel]!)
      earliest = Math.max(earliest, this.#placeOf.get(other)! + 1);
    return earliest;
  }

  /** Whether nothing so far must run after this slot, nor must `kernel`. */
  isFree(at: number, kernel: number): boolean {
    return this.#places[at]!.slot.every((member) =>
      [...this.#hazards.after[member]!].every((later) => later !== kernel && !this.#placeOf.has(later)),
    );
  }

  /** The places of the given kernels and the latest `count`, the latest first. */
  candidates(kernels: readonly number[], count: number): readonly number[] {
    const found = new Set(kernels.map((kernel) => this.#placeOf.get(kernel)!));
    const least = found.size + count;
    for (let at = this.#places.length - 1; at >= 0 && found.size < least; at--)
      if (this.#places[at]!.slot.length > 0) found.add(at);
    return [...found].sort((a, b) => b - a);
  }

  add(at: number, kernel: number): void {
    this.#places[at]!.slot.push(kernel);
    this.#placeOf.set(kernel, at);
  }

  append(slot: readonly number[], time: number): void {
    this.#places.push({ slot: [], time });
    for (const kernel of slot) this.add(this.#places.length - 1, kernel);
  }

  remove(at: number): void {
    this.#places[at]!.slot = [];
  }

  slots(): readonly Slot[] {
    return this.#places.map((place) => place.slot).filter((slot) => slot.length > 0);
  }
}

/** Bytes of arena tensors alive at each kernel of the given order, as kernels are moved. Never less than there are. */
class LiveBytes {
  readonly #bytes: Float64Array;
  readonly #most: number;
  readonly #ranges = new Map<string, { first: number; last: number; readonly bytes: number }>();
  readonly #touched: readonly (readonly { first: number; last: number; readonly bytes: number }[])[];

  constructor(kernels: readonly Kernel[], spans: Spans, kept: ReadonlySet<number>, mayGrow: boolean) {
    this.#bytes = new Float64Array(kernels.length);
    this.#touched = kernels.map((kernel, time) => {
      const own = new Set<{ first: number; last: number; readonly bytes: number }>();
      for (const { tensor } of kernel.tensors) {
        const { base } = spans.locationOf(tensor);
        if (!base.startsWith("arena ")) continue;
        const of = Number(base.slice("arena ".length));
        let range = this.#ranges.get(base);
        if (range === undefined) {
          const { dtype, shape } = spans.typeOf(of);
          range = { first: time, last: time, bytes: elementSizeBytes(dtype) * elementCount(shape) };
          this.#ranges.set(base, range);
        }
        range.last = kept.has(tensor) ? kernels.length - 1 : Math.max(range.last, time);
        own.add(range);
      }
      return [...own];
    });
    for (const range of this.#ranges.values()) this.#add(range.first, range.last + 1, range.bytes);
    const most = this.#bytes.reduce((a, b) => Math.max(a, b), 0);
    this.#most = mayGrow ? most + Math.max(MOST_GROWTH * most, FREE_GROWTH_BYTES) : most;
  }

  /** Whether what `kernel` makes may be alive from `time` on. */
  fitsEarlier(kernel: number, time: number): boolean {
    const made = this.#touched[kernel]!.filter((range) => range.first === kernel);
    return this.#fits(time, kernel, made);
  }

  moveEarlier(kernel: number, time: number): void {
    for (const range of this.#touched[kernel]!) {
      if (range.first !== kernel) continue;
      this.#add(time, range.first, range.bytes);
      range.first = time;
    }
  }

  /** Whether what the slot touches may be alive until `time`. */
  fitsLater(slot: Slot, time: number): boolean {
    const kept = new Set(slot.flatMap((kernel) => this.#touched[kernel]!));
    for (let at = Math.min(...[...kept].map((range) => range.last)) + 1; at <= time; at++) {
      let added = 0;
      for (const range of kept) if (range.last < at) added += range.bytes;
      if (this.#bytes[at]! + added > this.#most) return false;
    }
    return true;
  }

  moveLater(slot: Slot, time: number): void {
    for (const range of new Set(slot.flatMap((kernel) => this.#touched[kernel]!))) {
      if (range.last >= time) continue;
      this.#add(range.last + 1, time + 1, range.bytes);
      range.last = time;
    }
  }

  #fits(from: number, to: number, ranges: readonly { readonly bytes: number }[]): boolean {
    const added = ranges.reduce((n, range) => n + range.bytes, 0);
    for (let at = from; at < to; at++) if (this.#bytes[at]! + added > this.#most) return false;
    return true;
  }

  #add(from: number, to: number, bytes: number): void {
    for (let at = from; at < to; at++) this.#bytes[at]! += bytes;
  }
}
