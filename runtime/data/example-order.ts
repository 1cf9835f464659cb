import { type Split, splitNumber } from "./corpus.ts";
import { randomAt, shuffle, stream } from "./random.ts";

/** The order of an epoch's examples, the last two kept: a batch may span two epochs. */
export function createOrders(
  count: number,
  { seed, split }: { readonly seed: number; readonly split: Split },
): (epoch: number) => Int32Array {
  return keepTwo((epoch) => {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    shuffle(order, randomAt(seed, stream.epochOrder, splitNumber[split], epoch));
    return order;
  });
}

/** Keeps what was made for the last two epochs. */
export function keepTwo<T>(make: (epoch: number) => T): (epoch: number) => T {
  const kept = new Map<number, T>();
  return (epoch) => {
    let value = kept.get(epoch);
    if (value === undefined) {
      value = make(epoch);
      for (const old of kept.keys()) if (kept.size > 1) kept.delete(old);
      kept.set(epoch, value);
    }
    return value;
  };
}

/** Example `place` of the endless row: which epoch, and which of that epoch's examples. */
export function exampleAt(place: number, count: number, orderOf: (epoch: number) => Int32Array) {
  const epoch = Math.floor(place / count);
  return { epoch, ordinal: orderOf(epoch)[place - epoch * count]! };
}
