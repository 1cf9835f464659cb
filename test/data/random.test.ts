import { expect, test } from "vitest";
import { randomAt, shuffle } from "../../runtime/data/random.ts";

/** Chi-squared of counts against equal shares: for n cells its mean is n - 1 and its deviation sqrt(2 (n - 1)). */
function chiSquared(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
const within = (value: number, cells: number): boolean =>
  Math.abs(value - (cells - 1)) < 5 * Math.sqrt(2 * (cells - 1));

test("the stream of a key is fixed", () => {
  const random = randomAt(1, 2, 3);
  const drawn = [random.uniform(), random.uniform(), random.below(1000)];
  const again = randomAt(1, 2, 3);
  expect([again.uniform(), again.uniform(), again.below(1000)]).toEqual(drawn);
  for (const other of [
    [1, 2],
    [1, 2, 3, 0],
    [3, 2, 1],
    [1 + 2 ** 32, 2, 3],
    [-1, 2, 3],
  ]) {
    expect(randomAt(...other).uniform()).not.toBe(drawn[0]);
  }
});

test("first numbers of neighbouring keys, and numbers of one stream, are uniform and independent", () => {
  const cells = 16;
  const streams = [
    (i: number) => randomAt(7, 2, 0, 0, i).uniform(),
    (i: number) => randomAt(i, 2, 0, 0, 5).uniform(),
    (() => {
      const one = randomAt(42);
      return () => one.uniform();
    })(),
  ];
  for (const at of streams) {
    const single = new Array<number>(cells).fill(0);
    const pairs = new Array<number>(cells * cells).fill(0);
    let before = 0;
    for (let i = 0; i < 40_000; i++) {
      const cell = Math.floor(at(i) * cells);
      single[cell]!++;
      if (i > 0) pairs[before * cells + cell]!++;
      before = cell;
    }
    expect(within(chiSquared(single), cells)).toBe(true);
    expect(within(chiSquared(pairs), cells * cells)).toBe(true);
  }
});

test("a shuffle gives every order, and a partial one every sample, equally often", () => {
  const orders = new Map<string, number>();
  const samples = new Map<string, number>();
  for (let i = 0; i < 24_000; i++) {
    const items = Int32Array.of(0, 1, 2, 3);
    shuffle(items, randomAt(3, i));
    orders.set(items.join(), (orders.get(items.join()) ?? 0) + 1);
    const some = Int32Array.of(0, 1, 2, 3);
    shuffle(some, randomAt(4, i), 2);
    const sample = some.slice(0, 2).sort().join();
    samples.set(sample, (samples.get(sample) ?? 0) + 1);
  }
  expect(orders.size).toBe(24);
  expect(samples.size).toBe(6);
  expect(within(chiSquared([...orders.values()]), 24)).toBe(true);
  expect(within(chiSquared([...samples.values()]), 6)).toBe(true);
});
