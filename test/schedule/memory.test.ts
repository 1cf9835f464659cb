import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planMemory } from "../../compiler/schedule/index.ts";

const ranges = fc
  .array(fc.record({ sizeBytes: fc.integer({ min: 1, max: 5000 }), first: fc.nat(20), length: fc.nat(10) }), {
    maxLength: 40,
  })
  .map((list) =>
    list.map(({ sizeBytes, first, length }, id) => ({ id, sizeBytes, first, last: first + length })),
  );

describe("the memory plan", () => {
  test("no two tensors alive together overlap, all are aligned and inside their arena", () => {
    fc.assert(
      fc.property(ranges, fc.constantFrom(16, 256), (live, alignment) => {
        const { places, arenaBytes } = planMemory(live, alignment, 8192);
        for (const a of live) {
          const place = places.get(a.id)!;
          expect(place.offsetBytes % alignment).toBe(0);
          expect(place.offsetBytes + a.sizeBytes).toBeLessThanOrEqual(arenaBytes[place.arena]!);
          for (const c of live) {
            const other = places.get(c.id)!;
            if (a.id >= c.id || place.arena !== other.arena || a.last < c.first || c.last < a.first) continue;
            const apart =
              place.offsetBytes + a.sizeBytes <= other.offsetBytes ||
              other.offsetBytes + c.sizeBytes <= place.offsetBytes;
            expect(apart, `${a.id} and ${c.id}`).toBe(true);
          }
        }
        for (const size of arenaBytes) expect(size).toBeLessThanOrEqual(8192);
      }),
    );
  });

  test("memory is used again once its tensor is dead", () => {
    const live = [0, 1, 2].map((id) => ({ id, sizeBytes: 1024, first: 2 * id, last: 2 * id + 1 }));
    expect(planMemory(live, 256, 1 << 20).arenaBytes).toEqual([1024]);
  });

  test("a tensor larger than an arena may be is refused", () => {
    expect(() => planMemory([{ id: 7, sizeBytes: 4097, first: 0, last: 0 }], 256, 4096)).toThrow(/tensor 7/);
  });
});
