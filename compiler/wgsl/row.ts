import type { AxisExpr, ReduceKind, Reduction, RowKernel } from "../kernel/index.ts";
import type { DType } from "../program/index.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, writeModule } from "./module.ts";
import { literal, valueType } from "./spelling.ts";

function identityOf(op: ReduceKind, dtype: DType): string {
  switch (op) {
    case "sum":
      return literal(dtype, 0);
    case "max":
      return literal(dtype, dtype === "f32" ? -Infinity : dtype === "i32" ? -(2 ** 31) : 0);
    case "min":
      return literal(dtype, dtype === "f32" ? Infinity : dtype === "i32" ? 2 ** 31 - 1 : 2 ** 32 - 1);
    default:
      return op satisfies never;
  }
}

function combine(op: ReduceKind, a: string, b: string): string {
  return op === "sum" ? `${a} + ${b}` : `${op}(${a}, ${b})`;
}

/** Rows walked once or more along the inner axis; see {@link RowKernel}. */
export function printRow(kernel: RowKernel): string {
  const adopted = new Adopted();
  const row = adopted.axis(kernel.row);
  const inner = adopted.axis(kernel.inner);
  const lane: AxisExpr | undefined =
    kernel.vector === "none" ? undefined : kernel.vector === "row" ? row : inner;
  const sweeps = kernel.sweeps.map((sweep) => ({
    reductions: sweep.reductions.map((r) => ({ ...r, body: adopted.expr(r.body) })),
    stores: adopted.stores(sweep.stores),
  }));
  const rowStores = adopted.stores(kernel.rowStores);
  const stores = [...sweeps.flatMap((s) => s.stores), ...rowStores];
  const roots = [...sweeps.flatMap((s) => s.reductions.map((r) => r.body)), ...stores.map((s) => s.value)];
  const vectors = new Set<number>();
  collectVectorLoads(roots, lane, vectors);
  collectVectorStores(stores, lane, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  emitter.expect([...roots, ...stores.map((s) => s.index)]);
  const shared = kernel.invocationsPerRow > 1;
  const rowWidth = kernel.vector === "row" ? 4 : 1;
  const stepWidth = kernel.vector === "inner" ? 4 : 1;
  emitter.line(`let row = ${shared ? "workgroup" : "invocation"}${rowWidth === 4 ? " * 4" : ""};`);
  emitter.bindAxis(row, "row");
  const workgroupVariables: string[] = [];
  const step = stepWidth * kernel.invocationsPerRow;
  const start = shared ? `local${stepWidth === 4 ? " * 4" : ""}` : "0";

  for (const sweep of sweeps) {
    const width = lane === undefined ? 1 : 4;
    for (const r of sweep.reductions) {
      emitter.line(`var part_${r.name} = ${valueType(r.dtype, width)}(${identityOf(r.op, r.dtype)});`);
    }
    emitter.block(`for (var i = ${start}; i < ${kernel.inner.extent}; i += ${step})`, () => {
      emitter.bindAxis(inner, "i");
      for (const r of sweep.reductions) {
        const term = splat(emitter.emit(r.body, lane), r.dtype, width);
        emitter.line(`part_${r.name} = ${combine(r.op, `part_${r.name}`, term)};`);
      }
      for (const s of sweep.stores) emitter.store(s.tensor, s.index, emitter.emit(s.value, lane), lane);
    });
    for (const r of sweep.reductions) {
      const joined = joinLanes(r, kernel.vector === "inner");
      if (shared)
        workgroupVariables.push(
          `var<workgroup> shared_${r.name}: array<${r.dtype}, ${kernel.invocationsPerRow}>;`,
        );
      emitter.line(
        `let ${r.name} = ${shared ? joinWorkgroup(emitter, r, joined, kernel.invocationsPerRow) : joined};`,
      );
      emitter.bindValue(r.name, r.name, rowWidth);
    }
  }
  const writeRow = () => {
    for (const s of rowStores) emitter.store(s.tensor, s.index, emitter.emit(s.value, lane), lane);
  };
  if (rowStores.length > 0) {
    if (shared) emitter.block("if (local == 0)", writeRow);
    else writeRow();
  }
  return writeModule(kernel, vectors, emitter, { wholeWorkgroups: shared, workgroupVariables });
}

/** The four partial results of an invocation as one, in a fixed order. */
function joinLanes(r: Reduction, isVector: boolean): string {
  const part = `part_${r.name}`;
  if (!isVector) return part;
  return combine(
    r.op,
    `(${combine(r.op, `${part}.x`, `${part}.y`)})`,
    `(${combine(r.op, `${part}.z`, `${part}.w`)})`,
  );
}

/** A tree over the invocations of a workgroup; every one of them then reads the result. */
function joinWorkgroup(emitter: Emitter, r: Reduction, joined: string, count: number): string {
  const name = `shared_${r.name}`;
  emitter.line(`${name}[local] = ${joined};`);
  emitter.line("workgroupBarrier();");
  emitter.block(`for (var half = ${count / 2}; half > 0; half /= 2)`, () => {
    emitter.line(
      `if (local < half) { ${name}[local] = ${combine(r.op, `${name}[local]`, `${name}[local + half]`)}; }`,
    );
    emitter.line("workgroupBarrier();");
  });
  return `${name}[0]`;
}
