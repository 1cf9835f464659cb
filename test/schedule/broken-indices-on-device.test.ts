import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Graph, GraphBuilder, type Leaves, tensor } from "../../compiler/graph/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { runOnDevice } from "./run-graph.ts";

/** More than sums that are masked, which drop what is no row. */
const ROWS = 12;
const ids = [2, -1, ROWS, 2 ** 31 - 1, -(2 ** 31), 5, 0];
const clamped = ids.map((id) => Math.min(Math.max(id, 0), ROWS - 1));
const table = Array.from({ length: ROWS * 4 }, (_, i) => i + 1);

function gatherAndScatter(): Graph {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const rows = b.input("table", "f32", [ROWS, 4]);
  const indices = b.input("ids", "i32", [ids.length]);
  const taken = b.take(rows, indices);
  b.output("taken", taken);
  b.output("summed", b.scatterAdd(taken, indices, ROWS));
  return b.build();
}

/** A device checks no access: the kernels themselves must stay in range. */
describe("indices that are no rows, from broken data, are taken as the nearest", () => {
  let software: KilnDevice;
  beforeAll(async () => {
    software = await openDevice({ prefer: "software" });
  });
  afterAll(() => software.close());

  test.each(["software", "gpu"] as const)("on a device of class %s", async (deviceClass) => {
    const leaves: Leaves = {
      inputs: new Map([
        ["table", tensor({ dtype: "f32", shape: [ROWS, 4] }, table)],
        ["ids", tensor({ dtype: "i32", shape: [ids.length] }, ids)],
      ]),
      parameters: new Map(),
      states: new Map(),
    };
    const device = { ...software, profile: { ...software.profile, deviceClass } };
    const { outputs } = await runOnDevice(gatherAndScatter(), leaves, device, true);
    const rowAt = (row: number) => table.slice(4 * row, 4 * row + 4);
    expect([...outputs.get("taken")!.data]).toEqual(clamped.flatMap(rowAt));
    const summed = Array.from({ length: ROWS }, (_, row) =>
      rowAt(row).map((x) => x * clamped.filter((other) => other === row).length),
    );
    expect([...outputs.get("summed")!.data]).toEqual(summed.flat());
  });
});
