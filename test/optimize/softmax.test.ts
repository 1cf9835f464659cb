import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import {
  evaluate,
  GraphBuilder,
  type NodeId,
  parse,
  print,
  tensor,
  verify,
} from "../../compiler/graph/index.ts";
import { optimize, simplifyForward } from "../../compiler/optimize/index.ts";
import { randomNumbers } from "../ops/draw.ts";

const origin = { path: "", at: "", label: "", pass: "test" };

function simplified(before: string): string {
  const result = simplifyForward(parse(before, origin));
  verify(result, "simplifyForward");
  return print(result, { origins: false }).trim();
}

const lines = (text: string): string =>
  text
    .trim()
    .split("\n")
    .map((line) => line.trim())
    .join("\n");

test("a softmax is the exponential below its normalizer", () => {
  const before = `
    %0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
    %1 = reduce_max(%0) axes=[1] : f32[2]
    %2 = reshape(%1) shape=[2, 1] : f32[2, 1]
    %3 = stop_gradient(%2) : f32[2, 1]
    %4 = reshape(%3) shape=[2] : f32[2]
    %5 = broadcast(%4) axes=[0] shape=[2, 3] : f32[2, 3]
    %6 = sub(%0, %5) : f32[2, 3]
    %7 = exp(%6) : f32[2, 3]
    %8 = sum(%7) axes=[1] : f32[2]
    %9 = broadcast(%8) axes=[0] shape=[2, 3] : f32[2, 3]
    %10 = div(%7, %9) : f32[2, 3]
    output y = %10
  `;
  expect(simplified(before)).toBe(
    lines(`
      %0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
      %1 = logsumexp(%0) axes=[1] : f32[2]
      %2 = broadcast(%1) axes=[0] shape=[2, 3] : f32[2, 3]
      %3 = sub(%0, %2) : f32[2, 3]
      %4 = exp(%3) : f32[2, 3]
      output y = %4
    `),
  );
});

test("where the shift is not the same along the axes nothing changes", () => {
  const before = `
    %0 = input() dtype=f32 name=x shape=[2, 3] : f32[2, 3]
    %1 = input() dtype=f32 name=m shape=[3] : f32[3]
    %2 = broadcast(%1) axes=[1] shape=[2, 3] : f32[2, 3]
    %3 = sub(%0, %2) : f32[2, 3]
    %4 = logsumexp(%3) axes=[1] : f32[2]
    %5 = broadcast(%4) axes=[0] shape=[2, 3] : f32[2, 3]
    %6 = sub(%3, %5) : f32[2, 3]
    output y = %6
  `;
  expect(simplified(before)).toBe(lines(before));
});

describe("normalizers keep their derivative", () => {
  const over = (b: GraphBuilder, row: NodeId, x: NodeId) => b.broadcastOver(row, b.shape(x), [1]);
  const forms: Readonly<Record<string, (b: GraphBuilder, x: NodeId, m: NodeId) => NodeId>> = {
    softmax: (b, x, m) => {
      const e = b.exp(b.sub(x, over(b, m, x)));
      return b.div(e, over(b, b.sum(e, [1]), x));
    },
    "log softmax": (b, x, m) => {
      const y = b.sub(x, over(b, m, x));
      return b.sub(y, over(b, b.log(b.sum(b.exp(y), [1])), x));
    },
    logsumexp: (b, x, m) => {
      const sum = b.sum(b.exp(b.sub(x, over(b, m, x))), [1]);
      return over(b, b.add(b.log(sum), m), x);
    },
  };
  test.each(
    Object.entries(forms).flatMap(([name, form]) => [
      [
        name,
        "a maximum that gradients pass",
        form,
        (b: GraphBuilder, x: NodeId) => b.reduceMax(x, [1]),
      ] as const,
      [
        name,
        "a maximum that they do not",
        form,
        (b: GraphBuilder, x: NodeId) => b.stopGradient(b.reduceMax(x, [1])),
      ] as const,
    ]),
  )("%s, shifted by %s", (_name, _shift, form, shift) => {
    const b = new GraphBuilder(origin);
    const x = b.parameter("x", [4, 5]);
    b.output("y", form(b, x, shift(b, x)));
    const forward = b.build();
    const [before, after] = [forward, simplifyForward(forward)].map((graph) => {
      const c = new GraphBuilder(origin);
      const ids = c.import(graph, new Map());
      const y = ids[graph.outputs[0]!.node]!;
      const weight = c.parameter("weight", [4, 5]);
      const leaf = ids[graph.nodes.find((node) => node.op === "parameter")!.id]!;
      c.output("y", y);
      c.output("dx", gradients(c, c.sum(c.mul(y, weight), [0, 1]), [leaf])[0]!);
      return c.build();
    });
    expect(after!.nodes.some(({ op }) => op === "logsumexp")).toBe(true);
    expect(simplifyForward(forward).nodes.some(({ op }) => op === "log" || op === "div")).toBe(false);
    const random = randomNumbers(5);
    const draw = () =>
      tensor(
        { dtype: "f32", shape: [4, 5] },
        Array.from({ length: 20 }, () => 6 * random() - 3),
      );
    const leaves = {
      parameters: new Map([
        ["x", draw()],
        ["weight", draw()],
      ]),
    };
    const [expected, actual] = [before!, after!].map((graph) => evaluate(graph, leaves).outputs);
    for (const [name, { data }] of expected!)
      data.forEach((value, i) => {
        // Twenty terms of magnitude 10 in float64.
        expect(Math.abs(actual!.get(name)!.data[i]! - value)).toBeLessThan(1e-12);
      });
  });
});

test("the row sum of weights with a contraction is the product with the contraction of the weights", () => {
  const before = `
    %0 = input() dtype=f32 name=w shape=[2, 3] : f32[2, 3]
    %1 = input() dtype=f32 name=v shape=[3, 4] : f32[3, 4]
    %2 = input() dtype=f32 name=ct shape=[2, 4] : f32[2, 4]
    %3 = einsum(%0, %1) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[2, 4]
    %4 = einsum(%2, %1) lhs=[0, 2] out=[0, 1] rhs=[1, 2] : f32[2, 3]
    %5 = mul(%0, %4) : f32[2, 3]
    %6 = sum(%5) axes=[1] : f32[2]
    output y = %3
    output sum = %6
  `;
  const result = print(optimize(parse(before, origin)), { origins: false });
  expect(result.trim()).toBe(
    lines(`
      %0 = input() dtype=f32 name=w shape=[2, 3] : f32[2, 3]
      %1 = input() dtype=f32 name=v shape=[3, 4] : f32[3, 4]
      %2 = input() dtype=f32 name=ct shape=[2, 4] : f32[2, 4]
      %3 = einsum(%0, %1) lhs=[0, 1] out=[0, 2] rhs=[1, 2] : f32[2, 4]
      %4 = einsum(%2, %3) lhs=[0, 2] out=[0] rhs=[0, 2] : f32[2]
      output y = %3
      output sum = %4
    `),
  );
  // Without the other contraction, or with other weights in it, the sum stays.
  const alone = before.replace("output y = %3", "");
  expect(
    print(optimize(parse(alone.replace(/%3 = .*\n/, "%3 = neg(%0) : f32[2, 3]\n"), origin)), {
      origins: false,
    }),
  ).toContain("sum(");
});
