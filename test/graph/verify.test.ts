import { describe, expect, test } from "vitest";
import { type Graph, type Origin, parse, verify } from "../../compiler/graph/index.ts";

const origin: Origin = { path: "encoder", at: "m.bert:2:3", label: "h", pass: "broken-pass" };
const graph = (text: string): Graph => parse(text, origin);

const valid = `
%0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
%1 = state() dtype=f32 name=s shape=[2] : f32[2]
%2 = sum(%0) axes=[1] : f32[2]
%3 = add(%1, %2) : f32[2]
output y = %3
update s = %3`;

describe("verify", () => {
  test("accepts a valid graph", () => {
    verify(graph(valid));
  });

  test.each([
    [
      "a wrong type",
      "%2 = sum(%0) axes=[1] : f32[2]",
      "%2 = sum(%0) axes=[1] : f32[3]",
      "type is f32[3], should be f32[2]",
    ],
    [
      "a wrong dtype",
      "%2 = sum(%0) axes=[1] : f32[2]",
      "%2 = sum(%0) axes=[1] : i32[2]",
      "type is i32[2], should be f32[2]",
    ],
    ["an axis out of range", "axes=[1]", "axes=[2]", "[2] are no ascending axes of f32[2, 3]"],
    ["a later input", "add(%1, %2)", "add(%1, %3)", "input %3 is not before it"],
    ["an id that is no position", "%3 = add", "%4 = add", "id 4 at position 3"],
    ["too few inputs", "add(%1, %2)", "add(%1)", "takes 2 inputs, got 1"],
    ["shapes that differ", "add(%1, %2)", "add(%0, %2)", "operands differ in shape"],
    ["an output of nothing", "output y = %3", "output y = %9", "output y is %9, of 4 nodes"],
    ["an update of nothing", "update s = %3", "update s = %9", "update of s is %9, of 4 nodes"],
    [
      "an update of another type",
      "update s = %3",
      "update s = %0",
      "state s is f32[2], its update %0 is f32[2, 3]",
    ],
    ["two updates", "update s = %3", "update s = %3\nupdate s = %2", "two updates of state s"],
    ["two outputs of a name", "output y = %3", "output y = %3\noutput y = %2", "two outputs named y"],
    [
      "a size of zero",
      "name=x shape=[2, 3] : f32[2, 3]",
      "name=x shape=[2, 0] : f32[2, 0]",
      "sizes must be positive",
    ],
    ["a leaf without a name", "name=x", 'name=""', "no name"],
  ])("%s", (_title, from, to, message) => {
    expect(valid).toContain(from);
    const broken = graph(valid.replace(from, to));
    expect(() => verify(broken, "broken-pass")).toThrow(message);
    expect(() => verify(broken, "broken-pass")).toThrow("invalid graph after broken-pass: ");
  });

  test("names node, op, origin and pass", () => {
    const broken = graph(valid.replace("axes=[1]", "axes=[1, 0]"));
    expect(() => verify(broken, "merge-movement")).toThrow(
      "invalid graph after merge-movement: %2 = sum: sum(f32[2, 3]): [1, 0] are no ascending axes of f32[2, 3]" +
        " (encoder h, m.bert:2:3, made by broken-pass)",
    );
  });

  test("leaves of one name have one type", () => {
    const text = `${valid.split("\noutput")[0]}\n%4 = input() dtype=i32 name=x shape=[2] : i32[2]`;
    expect(() => verify(graph(text))).toThrow("input x is f32[2, 3] elsewhere, here i32[2]");
    verify(graph(text.replace("name=x shape=[2] :", "name=s shape=[2] :")));
  });

  test("a node without an origin", () => {
    expect(() => verify(parse(valid, { ...origin, pass: "" }))).toThrow("no pass in its origin");
  });

  const unary = (line: string): string =>
    `%0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]\n%1 = ${line}`;
  test.each([
    ["reshape(%0) shape=[7] : f32[7]", "has not the elements of [7]"],
    ["transpose(%0) perm=[0, 0] : f32[2, 2]", "is no permutation"],
    ["broadcast(%0) axes=[1, 0] shape=[3, 2] : f32[3, 2]", "does not place the axes"],
    ["broadcast(%0) axes=[0, 1] shape=[2, 4] : f32[2, 4]", "does not fit axes"],
    ["slice(%0) end=[2, 4] start=[0, 0] : f32[2, 4]", "is no box"],
    ["slice(%0) end=[1, 3] start=[1, 0] : f32[0, 3]", "is no box"],
    ["pad(%0) after=[0, 0] before=[-1, 0] : f32[1, 3]", "does not fit"],
    ["concat(%0, %0) axis=2 : f32[2, 3]", "no axis 2"],
    ["concat() axis=0 : f32[2, 3]", "takes at least 1 input"],
    ["take(%0, %0) : f32[2, 3]", "takes i32, got f32[2, 3]"],
    ["reduce_max(%0) axes=[-1] : f32[2]", "no ascending axes"],
    ["einsum(%0, %0) lhs=[0, 0] out=[0] rhs=[0, 1] : f32[2]", "do not name the axes"],
    ["einsum(%0, %0) lhs=[0, 1] out=[0] rhs=[1, 0] : f32[2]", "label 1 is 3 and 2"],
    ["einsum(%0, %0) lhs=[0, 1] out=[0] rhs=[0, 2] : f32[2]", "label 1 is summed in one operand only"],
    ["einsum(%0, %0) lhs=[0, 1] out=[0, 5] rhs=[0, 1] : f32[2, 2]", "output label 5 is in no operand"],
    ["einsum(%0, %0) lhs=[0, 1] out=[0, 0] rhs=[0, 1] : f32[2, 2]", "repeat"],
    ["scatter_add(%0, %0) rows=4 : f32[4]", "indices must be i32"],
    ["constant() dtype=i32 value=1.5 : i32[]", "1.5 is no value of i32"],
    ["constant() dtype=u32 value=-1 : u32[]", "-1 is no value of u32"],
    ["constant() dtype=f32 value=1e39 : f32[]", "is no value of f32"],
    ["iota() axis=1 shape=[4] : i32[4]", "no axis 1"],
    ["random_key() stream=-1 : u32[]", "no stream -1"],
    ["uniform(%0) shape=[4] : f32[4]", "takes u32"],
    ["hash(%0) : f32[2, 3]", "takes u32"],
    ["not(%0) : bool[2, 3]", "takes bool"],
    ["select(%0, %0, %0) : f32[2, 3]", "takes bool"],
    ["exp(%0, %0) : f32[2, 3]", "takes 1 input, got 2"],
    ["view(%0) offset=0 shape=[2] : f32[2]", "is no piece"],
    ["pack(%0, %0) offsets=[0, 5] size=12 : f32[12]", "offset 5 of input 1 is before the end 6"],
    ["pack(%0) offsets=[0] size=5 : f32[5]", "inputs end at 6, after the size 5"],
    ["pack(%0) offsets=[] size=5 : f32[5]", "0 offsets for 1 inputs"],
  ])("%s", (line, message) => {
    expect(() => verify(graph(unary(line)))).toThrow(message);
  });
});
