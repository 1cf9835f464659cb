import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CutNetwork } from "../../compiler/recompute/min-cut.ts";
import "../seed.ts";

type Edge = readonly [from: number, to: number, capacity: number];

/** Node 0 is the source, node 1 the sink. */
function networkOf(count: number, edges: readonly Edge[]): CutNetwork {
  const network = new CutNetwork();
  for (let i = 0; i < count; i++) network.addNode();
  for (const [from, to, capacity] of edges) network.addEdge(from, to, capacity);
  return network;
}

function costOf(edges: readonly Edge[], isOnSourceSide: (node: number) => boolean): number {
  return edges.reduce(
    (cost, [from, to, capacity]) => (isOnSourceSide(from) && !isOnSourceSide(to) ? cost + capacity : cost),
    0,
  );
}

describe("a minimum cut", () => {
  test("costs no more than any other, with as few nodes on the source's side as can be", () => {
    const count = fc.integer({ min: 2, max: 8 });
    const drawn = count.chain((nodes) => {
      const node = fc.nat({ max: nodes - 1 });
      const capacity = fc.oneof(
        { weight: 9, arbitrary: fc.nat({ max: 9 }) },
        { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
      );
      return fc.tuple(fc.constant(nodes), fc.array(fc.tuple(node, node, capacity), { maxLength: 24 }));
    });
    let cuts = 0;
    fc.assert(
      fc.property(drawn, ([nodes, edges]) => {
        let [least, fewest] = [Number.POSITIVE_INFINITY, nodes];
        for (let inner = 0; inner < 2 ** (nodes - 2); inner++) {
          const isOnSourceSide = (node: number): boolean =>
            node === 0 || (node > 1 && ((inner >> (node - 2)) & 1) === 1);
          const cost = costOf(edges, isOnSourceSide);
          const size = Array.from({ length: nodes }, (_, i) => i).filter(isOnSourceSide).length;
          if (cost < least || (cost === least && size < fewest)) [least, fewest] = [cost, size];
        }
        const network = networkOf(nodes, edges);
        if (least === Number.POSITIVE_INFINITY) {
          expect(() => network.cut(0, 1)).toThrow("nothing can be cut");
          return;
        }
        const side = network.cut(0, 1);
        expect([side[0], side[1]]).toEqual([true, false]);
        expect(costOf(edges, (node) => side[node]!)).toBe(least);
        expect(side.filter((isSource) => isSource).length).toBe(fewest);
        if (least > 0) cuts += 1;
      }),
      { numRuns: 500 },
    );
    expect(cuts).toBeGreaterThan(100);
  });
});
