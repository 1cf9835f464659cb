import fc from "fast-check";
import { expect, test } from "vitest";
import { nearest } from "../../compiler/diagnostics/index.ts";

test.each([
  ["hiden", "hidden"],
  ["hiddne", "hidden"],
  ["maxlen", "max_len"],
  ["Linaer", "Linear"],
  ["linear", "Linear"],
  ["fnn", "ffn"],
])("%s is near %s", (typed, meant) => {
  expect(nearest(typed, ["vocab", "hidden", "max_len", "Linear", "ffn", "q"])).toBe(meant);
});

test.each(["x", "completely_else", "", "qqqq", "hidden"])("%j is near nothing else", (typed) => {
  expect(nearest(typed, ["vocab", "hidden", "max_len", "Linear", "k"])).toBeUndefined();
});

test("one letter changed, left out, doubled or swapped in a long name is always found", () => {
  const name = fc.stringMatching(/^[a-z]{5,12}$/);
  fc.assert(
    fc.property(
      name,
      fc.nat(10),
      fc.constantFrom("change", "drop", "double", "swap"),
      (word, place, mistake) => {
        const i = place % (word.length - 1);
        const typed = {
          change: `${word.slice(0, i)}0${word.slice(i + 1)}`,
          drop: word.slice(0, i) + word.slice(i + 1),
          double: word.slice(0, i + 1) + word.slice(i),
          swap: word.slice(0, i) + word.charAt(i + 1) + word.charAt(i) + word.slice(i + 2),
        }[mistake];
        expect(nearest(typed, [word])).toBe(typed === word ? undefined : word);
      },
    ),
  );
});
