import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../compiler/graph/index.ts";
import { dataFlowOf, printSchedule, schedule } from "../../compiler/schedule/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";

/** A matmul with a bias, a softmax over its rows, a state that takes the sum of all. */
function attentionLike() {
  const b = new GraphBuilder({ path: "layer", at: "a.bert:1:1", label: "x", pass: "test" });
  const named = <T>(label: string, make: () => T): T => b.withOrigin({ label }, make);
  const x = named("x", () => b.parameter("x", [8, 16]));
  const w = named("w", () => b.parameter("w", [16, 32]));
  const total = named("total", () => b.state("total", "f32", [8]));
  const product = named("product", () => b.einsum(x, w, { lhs: [0, 1], rhs: [1, 2], out: [0, 2] }));
  const scores = named("scores", () => b.mul(product, b.fullLike(product, 0.5)));
  const raised = named("raised", () => b.exp(scores));
  const sum = named("sum", () => b.sum(raised, [1]));
  b.output(
    "softmax",
    named("softmax", () => b.div(raised, b.broadcast(sum, [8, 32], [0]))),
  );
  b.update(
    "total",
    named("new_total", () => b.add(total, sum)),
  );
  return b.build();
}

describe("the edges between kernels", () => {
  test("say what is passed on and why two kernels are not one", () => {
    const plan = schedule(attentionLike(), softwareProfile, { fuse: true });
    expect(dataFlowOf(plan)).toEqual([
      {
        producer: 0,
        consumer: 1,
        tensors: ["raised"],
        bytes: 8 * 32 * 4,
        reason: "a reduction over a tiled result needs whole rows",
      },
    ]);
  });

  test("are found through memory that is used again", () => {
    const plan = schedule(attentionLike(), softwareProfile, { fuse: false });
    const dispatches = plan.steps.filter((step) => step.kind === "dispatch");
    const edges = dataFlowOf(plan).map(({ producer, consumer, bytes }) => [
      dispatches[producer]?.label.split("  ")[0],
      dispatches[consumer]?.label.split("  ")[0],
      bytes,
    ]);
    expect(edges).toEqual([
      ["product", "scores", 1024],
      ["scores", "raised", 1024],
      ["raised", "sum", 1024],
      ["raised", "softmax", 1024],
      ["sum", "softmax", 32],
      ["sum", "new_total", 32],
    ]);
  });

  test("a rule that is switched off is the reason", () => {
    const plan = schedule(attentionLike(), softwareProfile, { fuse: true, without: ["rows"] });
    const reasons = dataFlowOf(plan).map(({ reason }) => reason);
    expect(reasons).toContain("the rule `rows` is switched off");
  });
});

test("a schedule reads as a table of kernels, a memory map and the reasons", () => {
  const plan = schedule(attentionLike(), softwareProfile, { fuse: true });
  expect(printSchedule(plan)).toMatchInlineSnapshot(`
    "#  kernel  shape            rules                 name                   from               reads -> writes
    0  matmul  1 x 8 x 32 x 16  elementwise epilogue  product_raised         layer  a.bert:1:1  x, w -> raised
    1  row     8 rows of 32     rows                  sum_softmax_new_total  layer  a.bert:1:1  raised, total -> raised, new_total
       copy                                                                                     arena.0+1024 (32 bytes) -> total+0 (32 bytes)

    memory: arena.0 1280 bytes
    arena    offset  bytes  alive  tensor
    arena.0       0   1024  0-2    raised f32[8, 32] (layer, a.bert:1:1)
    arena.0    1024     32  1-2    new_total f32[8] (layer, a.bert:1:1)

    stayed apart (writer>reader):
    1x  a reduction over a tiled result needs whole rows  0>1
    "
  `);
});
