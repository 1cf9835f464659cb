import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evaluate, type Graph, GraphBuilder, type Tensor, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { programOf, runOnDevice } from "./run-graph.ts";

type Indices = (item: number, rows: number, items: number) => number;

const spread: Indices = (item, rows) => (item * 7919) % rows;
const same: Indices = (_item, rows) => rows - 1;
const skewed: Indices = (item, rows) => (item % 3 === 0 ? (item * 31) % rows : rows >> 1);
const blocks: Indices = (item, rows, items) => Math.floor((item * rows) / items);
const backwards: Indices = (item, rows, items) => Math.floor(((items - 1 - item) * rows) / items);

interface Case {
  readonly name: string;
  readonly items: number;
  readonly rows: number;
  readonly columns: number;
  readonly indices: Indices;
}

const cases: readonly Case[] = [
  { name: "one item", items: 1, rows: 9, columns: 4, indices: same },
  { name: "one item of one column", items: 1, rows: 100, columns: 1, indices: spread },
  { name: "one row", items: 50, rows: 1, columns: 8, indices: same },
  { name: "two rows", items: 1000, rows: 2, columns: 12, indices: blocks },
  { name: "eight rows, one column", items: 333, rows: 8, columns: 1, indices: skewed },
  { name: "all distinct", items: 257, rows: 257, columns: 8, indices: backwards },
  { name: "all of one row, in several chunks", items: 1023, rows: 30, columns: 4, indices: same },
  { name: "all of one row, one column", items: 200, rows: 1 << 20, columns: 1, indices: same },
  { name: "rows that end where chunks do", items: 1024, rows: 32, columns: 4, indices: blocks },
  { name: "rows that cross chunks", items: 1000, rows: 17, columns: 8, indices: blocks },
  { name: "counts that are multiples of nothing", items: 619, rows: 41, columns: 7, indices: skewed },
  { name: "several blocks to sort", items: 4999, rows: 301, columns: 4, indices: skewed },
  { name: "several blocks, all of one row", items: 4100, rows: 50, columns: 4, indices: same },
  { name: "several blocks because keys are long", items: 700, rows: 9_000_000, columns: 1, indices: spread },
];

/** Small whole numbers: their sums are exact in f32, so that every result must be equal to the last bit. */
function leavesOf({ items, rows, columns, indices }: Case, dtype: "f32" | "i32") {
  const random = randomNumbers(items + rows);
  const draw = (count: number) => Array.from({ length: count }, () => Math.floor(64 * random()) - 32);
  const index = Array.from({ length: items }, (_, item) => indices(item, rows, items));
  return {
    inputs: new Map<string, Tensor>([
      ["updates", tensor({ dtype, shape: [items, columns] }, draw(items * columns))],
      ["index", tensor({ dtype: "i32", shape: [items] }, index)],
    ]),
  };
}

function graphOf({ items, rows, columns }: Case, dtype: "f32" | "i32"): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "sums", pass: "test" });
  const updates = b.input("updates", dtype, [items, columns]);
  b.output("y", b.scatterAdd(updates, b.input("index", "i32", [items]), rows));
  return b.build();
}

describe("sums of equal indices", () => {
  let kiln: KilnDevice;
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
  });
  afterAll(() => kiln.close());
  const profileOf = (deviceClass: "software" | "gpu") => ({ ...kiln.profile, deviceClass });

  for (const deviceClass of ["software", "gpu"] as const) {
    test.each(cases)(`are exact: $name, ${deviceClass}`, async (one) => {
      for (const [dtype, fuse] of [
        ["f32", true],
        ["i32", false],
      ] as const) {
        const graph = graphOf(one, dtype);
        const leaves = leavesOf(one, dtype);
        const device = { ...kiln, profile: profileOf(deviceClass) };
        const actual = (await runOnDevice(graph, leaves, device, fuse)).outputs.get("y")!;
        const expected = evaluate(graph, leaves).outputs.get("y")!;
        const wrong = expected.data.findIndex((value, i) => value !== actual.data[i]);
        expect(wrong, `${dtype}: first wrong element`).toBe(-1);
      }
    });

    test(`give the same bits in every run, ${deviceClass}`, async () => {
      const one = cases.find(({ name }) => name === "several blocks to sort")!;
      const graph = graphOf(one, "f32");
      const random = randomNumbers(1);
      const { inputs } = leavesOf(one, "f32");
      const updates = tensor(
        { dtype: "f32", shape: [one.items, one.columns] },
        Array.from({ length: one.items * one.columns }, () => Math.fround(2 * random() - 1)),
      );
      const leaves = { inputs: new Map([...inputs, ["updates", updates]]) };
      const device = { ...kiln, profile: profileOf(deviceClass) };
      const runs = await Promise.all([1, 2, 3].map(() => runOnDevice(graph, leaves, device, true)));
      const [first, ...others] = runs.map(({ outputs }) => [...outputs.get("y")!.data]);
      for (const other of others) expect(other).toEqual(first);
    });
  }

  test("an index that is computed, constant or updates that are", async () => {
    const b = new GraphBuilder({ path: "", at: "", label: "sums", pass: "test" });
    const x = b.input("x", "i32", [300]);
    const index = b.mod(b.mul(x, x), b.full("i32", 11, [300]));
    b.output("counts", b.scatterAdd(b.full("f32", 1, [300, 4]), index, 11));
    b.output("one", b.scatterAdd(b.cast(x, "f32"), b.full("i32", 20, [300]), 40));
    const graph = b.build();
    const values = Array.from({ length: 300 }, (_, i) => (i * 37) % 101);
    const leaves = { inputs: new Map([["x", tensor({ dtype: "i32", shape: [300] }, values)]]) };
    const expected = evaluate(graph, leaves).outputs;
    for (const deviceClass of ["software", "gpu"] as const)
      for (const fuse of [true, false]) {
        const device = { ...kiln, profile: profileOf(deviceClass) };
        const actual = (await runOnDevice(graph, leaves, device, fuse)).outputs;
        for (const [name, value] of expected) expect([...actual.get(name)!.data]).toEqual([...value.data]);
      }
  });

  test("what is not finite stays in its own row", async () => {
    const one = cases.find(({ name }) => name === "two rows")!;
    const graph = graphOf(one, "f32");
    const leaves = leavesOf(one, "f32");
    leaves.inputs.get("updates")!.data[5] = Number.NaN;
    const expected = [...evaluate(graph, leaves).outputs.get("y")!.data];
    expect(expected.filter(Number.isNaN).length).toBe(1);
    for (const deviceClass of ["software", "gpu"] as const) {
      const device = { ...kiln, profile: profileOf(deviceClass) };
      const actual = await runOnDevice(graph, leaves, device, true);
      expect([...actual.outputs.get("y")!.data]).toEqual(expected);
    }
  });

  test("take few dispatches, and memory and work that grow with the items alone", () => {
    const planOf = (items: number, deviceClass: "software" | "gpu") => {
      const graph = graphOf({ name: "", items, rows: 1000, columns: 128, indices: spread }, "f32");
      const program = programOf(graph, profileOf(deviceClass), true);
      return { steps: program.entries.evaluate!.steps, buffers: program.buffers };
    };
    const kinds = (items: number, deviceClass: "software" | "gpu") =>
      planOf(items, deviceClass)
        .steps.map((step) => step.kind)
        .filter((kind) => kind === "dispatch").length;
    expect([1024, 32_768].map((items) => kinds(items, "software"))).toEqual([1, 1]);
    expect([32, 1024, 32_768].map((items) => kinds(items, "gpu"))).toEqual([2, 3, 4]);
    const bytes = planOf(32_768, "gpu").steps.reduce(
      (total, step) => total + (step.kind === "dispatch" ? step.bytesRead + step.bytesWritten : 0),
      0,
    );
    // Updates once, results once or twice, and a share of each for keys, order and what crosses chunks.
    expect(bytes).toBeLessThan(4 * (32_768 * 128 + 2 * 1000 * 128) * 1.2);
  });
});
