import { expect, test } from "vitest";
import { bitsOfHalf } from "../../compiler/graph/index.ts";
import { asTyped } from "../../runtime/execute/index.ts";

test("every binary16 has the bits that it is read from", () => {
  const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const values = asTyped("f16", new Uint8Array(all.buffer));
  const wrong = [...all].filter((bits) => {
    const value = values[bits]!;
    return Number.isNaN(value) ? bitsOfHalf(value) !== 0x7e00 : bitsOfHalf(value) !== bits;
  });
  expect(wrong).toEqual([]);
  expect([65519, 65520, 2 ** -25, 1.5 * 2 ** -25].map(bitsOfHalf)).toEqual([0x7bff, 0x7c00, 0, 1]);
});
