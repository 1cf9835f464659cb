import { expect, test } from "vitest";
import { checkGrammar } from "../../compiler/syntax/grammar.ts";

test("the grammar is sound: no alternatives that two tokens cannot tell apart, no left recursion", () => {
  expect(checkGrammar).not.toThrow();
});
