import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluate, type NodeId, type Shape, verify } from "../../compiler/graph/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { Draw } from "./draw.ts";

/** Grows a graph at random: every op takes what was made before, movements and constants in plenty. */
function grow(d: Draw, steps: number): readonly NodeId[] {
  const { b } = d;
  const made: NodeId[] = [d.float(d.shape(3)), d.float(d.shape(2))];
  const some = (): NodeId => d.oneOf(...made);
  const spread = (x: NodeId, shape: Shape): NodeId => {
    const axes = d.axes(shape.length);
    return b.broadcast(
      reduceTo(
        x,
        axes.map((axis) => shape[axis]!),
      ),
      shape,
      axes,
    );
  };
  /** A tensor of this shape out of x, which has any: its sum, broadcast. */
  const reduceTo = (x: NodeId, shape: Shape): NodeId => {
    if (b.shape(x).join() === shape.join()) return x;
    const total = b.sum(
      x,
      b.shape(x).map((_, axis) => axis),
    );
    return b.broadcast(total, shape, []);
  };
  const like = (x: NodeId): NodeId =>
    d.oneOf(
      () => reduceTo(some(), b.shape(x)),
      () => spread(some(), b.shape(x)),
      () => d.full(d.constant(), b.shape(x)),
      () => b.neg(reduceTo(some(), b.shape(x))),
    )();
  for (let step = 0; step < steps; step++) {
    const x = some();
    const shape = b.shape(x);
    const rank = shape.length;
    made.push(
      d.oneOf(
        () => b.neg(x),
        () => b.tanh(x),
        () => b.make(d.oneOf("add", "sub", "mul", "max", "min"), d.oneOf([x, like(x)], [like(x), x]), {}),
        () => b.div(x, d.full(d.constant() || 1, shape)),
        () => b.select(b.lt(like(x), like(x)), x, like(x)),
        () => b.transpose(x, d.permutation(rank)),
        () => b.reshape(x, d.oneOf<Shape>([...shape, 1], [1, ...shape], [shape.reduce((a, c) => a * c, 1)])),
        () =>
          b.reshape(
            x,
            shape.filter((size) => size !== 1),
          ),
        () => {
          const target = [...shape];
          target.splice(d.integer(0, rank), 0, d.size());
          const axis = target.findIndex((size, i) => size !== shape[i]);
          const at = axis < 0 ? rank : axis;
          return b.broadcast(
            x,
            target,
            target.map((_, i) => i).filter((i) => i !== at),
          );
        },
        () => b.sum(x, d.axes(rank)),
        () => b.reduceMax(x, d.axes(rank)),
        () =>
          d.einsum(
            (wanted) => reduceTo(x, wanted),
            (wanted) => spread(some(), wanted),
          ),
        () => b.cast(b.cast(b.lt(x, like(x)), "i32"), "f32"),
      )(),
    );
  }
  return made;
}

test("a random graph means the same after optimizing", () => {
  fc.assert(
    fc.property(fc.gen(), fc.integer({ min: 1, max: 14 }), (generate, steps) => {
      const draw = new Draw(generate, "finite");
      grow(draw, steps).forEach((id, index) => {
        draw.b.output(`node${index}`, id);
      });
      const before = draw.b.build();
      verify(before, "test");
      const after = optimize(before);
      verify(after, "optimize");
      const expected = evaluate(before, draw.leaves).outputs;
      const actual = evaluate(after, draw.leaves).outputs;
      // Sums of sums may cancel: rounding is measured against the largest number that the graph has met.
      const largest = Math.max(1, ...[...expected.values()].flatMap(({ data }) => [...data].map(Math.abs)));
      for (const [name, { data, shape }] of expected) {
        expect(actual.get(name)!.shape).toEqual(shape);
        actual.get(name)!.data.forEach((value, i) => {
          if (!Object.is(value, data[i]) && !(Math.abs(value - data[i]!) <= 1e-10 * largest))
            expect(value, name).toBe(data[i]);
        });
      }
    }),
    { numRuns: 300, endOnFailure: true },
  );
});
