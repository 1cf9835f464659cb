import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, GraphBuilder, type NodeId, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { relativeError, runOnDevice } from "./run-graph.ts";

describe("results over what they are made of", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => {
    kiln.throwIfFailed();
    kiln.close();
  });

  test("one that lies over another moves along when that is put over a third", async () => {
    const [m, n] = [64, 256];
    const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
    const labels = { lhs: [0, 1], rhs: [1, 2], out: [0, 2] };
    const product = (name: string, from: NodeId, to: number): NodeId =>
      b.einsum(from, b.parameter(`${name}.w`, [b.shape(from)[1]!, to]), labels);
    const x = b.parameter("x", [m, 16]);
    // Sums in turns over rows and columns, so that each is a kernel of its own, and dear enough not to be computed twice.
    const scaled = (x: NodeId, axis: number): NodeId =>
      b.tanh(b.mul(x, b.broadcastOver(b.sum(b.mul(x, x), [axis]), [m, n], [axis])));
    const early = product("early", x, 32);
    const first = product("first", x, n);
    const second = scaled(first, 1);
    // Most is alive where the third is made: it is put over the second before the second is put over the first.
    const beside = product("beside", early, n);
    const third = scaled(second, 0);
    b.output("rows", b.sum(b.mul(third, beside), [1]));
    b.output("columns", b.sum(third, [0]));
    const graph = b.build();
    const random = randomNumbers(5);
    const parameters = new Map(
      graph.nodes.flatMap(({ op, attrs, type }) => {
        if (op !== "parameter") return [];
        const count = type.shape.reduce((total, size) => total * size, 1);
        const elements = Array.from({ length: count }, () => Math.fround(random() - 0.5));
        return [[attrs.name, tensor(type, elements)] as const];
      }),
    );
    const { outputs, program } = await runOnDevice(graph, { parameters }, kiln, true);
    for (const [name, expected] of evaluate(graph, { parameters }).outputs)
      expect(relativeError(outputs.get(name)!, expected)).toBeLessThan(1e-5);
    // Three results of 64 KiB and one beside them, in the room of two and a little.
    const arena = program.buffers.find((buffer) => buffer.role === "scratch");
    expect(arena!.sizeBytes).toBeLessThan(3 * 4 * m * n);
  });
});
