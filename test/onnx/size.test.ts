import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluateSize, fitSize, formatSize, gridValues, type Size } from "../../compiler/onnx/size.ts";

const grid = [
  [4, 3, 2],
  [32, 31, 16],
];
const at = (of: (b: number, t: number) => number): readonly number[] =>
  grid[0]!.flatMap((b) => grid[1]!.map((t) => of(b, t)));
const text = (of: (b: number, t: number) => number): string | undefined => {
  const size = fitSize(grid, at(of));
  return size === undefined ? undefined : formatSize(size, ["B", "T"]);
};

test("sizes are found from samples, and written as one would", () => {
  expect(text(() => 64)).toBe("64");
  expect(text(() => 0)).toBe("0");
  expect(text((b) => b)).toBe("B");
  expect(text((_, t) => t - 1)).toBe("T-1");
  expect(text((b, t) => 2 * b * t)).toBe("2*B*T");
  expect(text((b, t) => b * t * t + 3 * t - 5 * b + 7)).toBe("B*T*T-5*B+3*T+7");
});

test("what is no polynomial with whole coefficients is none", () => {
  expect(text((_, t) => Math.floor(t / 2))).toBeUndefined();
  expect(text((_, t) => t / 4)).toBeUndefined();
  expect(text((b, t) => Math.max(b, t - 20))).toBeUndefined();
});

test("a power above the second is another one off the grid", () => {
  const size = fitSize(
    grid,
    at((_, t) => t ** 3),
  );
  expect(evaluateSize(size ?? [], [5, 30])).not.toBe(30 ** 3);
});

test("every polynomial comes back", () => {
  const coefficients = fc.array(fc.integer({ min: -50, max: 50 }), {
    minLength: gridValues ** 2,
    maxLength: gridValues ** 2,
  });
  fc.assert(
    fc.property(coefficients, (drawn) => {
      const size: Size = drawn.flatMap((coefficient, index) =>
        coefficient === 0
          ? []
          : [{ coefficient, powers: [Math.floor(index / gridValues), index % gridValues] }],
      );
      const samples = at((b, t) => evaluateSize(size, [b, t]));
      const found = fitSize(grid, samples);
      // The grid fixes the polynomial: the same values are the same terms.
      expect(found).toEqual(size);
    }),
  );
});
