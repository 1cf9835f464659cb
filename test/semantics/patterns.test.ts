import { describe, expect, test } from "vitest";
import { forwardErrors } from "./check.ts";

/** Every mistake in a pattern, from one line. */
const cases: readonly (readonly [string, string])[] = [
  ["no arrow", 'let y = einsum("b n", x)'],
  ["two arrows", 'let y = einsum("b n -> b -> n", x)'],
  ["a letter on the right only", 'let y = einsum("b n -> b m", x)'],
  ["sizes differ", 'let y = einsum("b n, n o -> b o", x, rearrange(w, "a b -> b a"))'],
  ["axes not separated", 'let y = einsum("bn, no -> bo", x, w)'],
  ["operand count", 'let y = einsum("b n, n o -> b o", x)'],
  ["a repeated axis", 'let y = einsum("n n -> n", x)'],
  ["a group in einsum", 'let y = einsum("(b n) -> b", x)'],
  ["unknown sign", 'let y = rearrange(x, "b n -> b; n")'],
  ["unknown number", 'let y = rearrange(x, "b n -> b n 2")'],
  ["unclosed group", 'let y = rearrange(x, "b (h d -> b h d", h: 2)'],
  ["lost axis", 'let y = rearrange(x, "b n -> b")'],
  ["axis that does not divide", 'let y = rearrange(x, "b (h d) -> b h d", h: 4)'],
  ["two sizes unknown", 'let y = rearrange(x, "b (h d) -> b h d")'],
  ["unknown axis name", 'let y = rearrange(x, "b (h d) -> b h d", heads: 2)'],
  ["no axis of size 1", 'let y = rearrange(x, "b 1 -> b")'],
  ["dots on one side", 'let y = rearrange(x, "... n -> n")'],
  ["usage", 'let y = rearrange("b n -> n b", x)'],
  ["i32 in einsum", 'let y = einsum("b p -> p b", ids)'],
];

describe("mistakes in patterns", () => {
  test.each(cases)("%s", (_, statement) => {
    expect(forwardErrors(statement)).toMatchSnapshot();
  });
});
