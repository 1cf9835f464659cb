import type { AxisExpr, RowKernel, Store } from "../kernel/index.ts";
import { type Accumulator, accumulatorOf } from "./accumulate.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";
import { literal, valueType } from "./spelling.ts";

/** Rows walked once or more along the inner axis; see {@link RowKernel}. */
export function printRow(kernel: RowKernel, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const row = adopted.axis(kernel.row);
  const inner = adopted.axis(kernel.inner);
  const lane: AxisExpr | undefined =
    kernel.vector === "none" ? undefined : kernel.vector === "row" ? row : inner;
  const sweeps = kernel.sweeps.map((sweep) => ({
    reductions: sweep.reductions.map((r) => ({ ...r, body: adopted.expr(r.body) })),
    stores: adopted.stores(sweep.stores),
    columns: adopted.stores(sweep.columns),
  }));
  const rowStores = adopted.stores(kernel.rowStores);
  const columns = sweeps.flatMap((s) => s.columns);
  const stores = [...sweeps.flatMap((s) => s.stores), ...columns, ...rowStores];
  const roots = [...sweeps.flatMap((s) => s.reductions.map((r) => r.body)), ...stores.map((s) => s.value)];
  const vectors = new Set(bound);
  collectVectorLoads(roots, lane, vectors);
  collectVectorStores(stores, lane, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  emitter.expect([...roots, ...stores.map((s) => s.index)]);
  const shared = kernel.invocationsPerRow > 1;
  const rowWidth = kernel.vector === "row" ? 4 : 1;
  const stepWidth = kernel.vector === "inner" ? 4 : 1;
  const workgroupVariables: string[] = [];
  const step = stepWidth * kernel.invocationsPerRow;
  const start = shared ? `local${stepWidth === 4 ? " * 4" : ""}` : "0";
  const alongRow = (body: () => void): void =>
    emitter.block(`for (var i = ${start}; i < ${kernel.inner.extent}; i += ${step})`, () => {
      emitter.bindAxis(inner, "i");
      body();
    });
  // An invocation that has one column, or one vec4 of them, sums it in a variable. More would be an array that a loop indexes, which a
  // processor's driver compiles twenty times as long and a GPU puts into memory: they are summed where they are stored.
  const keepsColumns = step >= kernel.inner.extent;
  const columnNames = new Map(columns.map((store, i) => [store, `column${i}`]));

  const walkRow = (): void => {
    emitter.bindAxis(row, "row");
    for (const sweep of sweeps) {
      const width = lane === undefined ? 1 : 4;
      const accumulators = sweep.reductions.map(accumulatorOf);
      for (const accumulator of accumulators)
        for (const line of accumulator.declare(width)) emitter.line(line);
      alongRow(() => {
        sweep.reductions.forEach((r, index) => {
          const term = splat(emitter.emit(r.body, lane), r.dtype, width);
          // A logsumexp names its term twice.
          const named = r.op === "logsumexp" ? emitter.name(term, "term_") : term;
          for (const line of accumulators[index]!.take(named, width)) emitter.line(line);
        });
        for (const s of sweep.columns) {
          const value = emitter.emit(s.value, lane);
          const name = columnNames.get(s)!;
          if (keepsColumns) emitter.line(`${name} = ${name} + ${splat(value, s.value.dtype, width)};`);
          else emitter.addTo(s.tensor, s.index, value, lane);
        }
        for (const s of sweep.stores) emitter.store(s.tensor, s.index, emitter.emit(s.value, lane), lane);
      });
      for (const accumulator of accumulators) {
        for (const line of accumulator.joinLanes(kernel.vector === "inner")) emitter.line(line);
        const own = accumulator.parts.map((part) => `${part}_all`);
        const joined = shared ? joinWorkgroup(emitter, accumulator, own, kernel, workgroupVariables) : own;
        emitter.line(`let ${accumulator.name} = ${accumulator.result(joined)};`);
        emitter.bindValue(accumulator.name, accumulator.name, rowWidth);
      }
    }
    const writeRow = () => {
      // All values first: a state that one store replaces may be read by the value of another.
      const values = rowStores.map((s) => emitter.emit(s.value, lane));
      rowStores.forEach((s, i) => {
        emitter.store(s.tensor, s.index, values[i]!, lane);
      });
    };
    if (rowStores.length > 0) {
      if (shared) emitter.block("if (local == 0)", writeRow);
      else writeRow();
    }
  };

  const { blocks } = kernel;
  const unit = shared ? "workgroup" : "invocation";
  if (blocks === undefined) {
    emitter.line(`let row = ${unit}${rowWidth === 4 ? " * 4" : ""};`);
    walkRow();
  } else {
    emitter.line(`let block = ${unit};`);
    emitter.bindAxis(adopted.axis(blocks.block), "block");
    const zero = (s: Store): string => `${valueType(s.value.dtype, stepWidth)}(${literal(s.value.dtype, 0)})`;
    if (keepsColumns) for (const [s, name] of columnNames) emitter.line(`var ${name} = ${zero(s)};`);
    else
      alongRow(() => {
        for (const s of columns) emitter.store(s.tensor, s.index, { text: zero(s), width: stepWidth }, lane);
      });
    emitter.line(`let end = min(block * ${blocks.rows} + ${blocks.rows}, ${kernel.row.extent});`);
    emitter.block(`for (var row = block * ${blocks.rows}; row < end; row++)`, () => {
      walkRow();
      // What the rows' results were joined in is free again only when all have read it.
      if (shared) emitter.line("workgroupBarrier();");
    });
    if (keepsColumns)
      alongRow(() => {
        for (const [s, name] of columnNames)
          emitter.store(s.tensor, s.index, { text: name, width: stepWidth }, lane);
      });
  }
  return { vectorTensors: vectors, emitter, wholeWorkgroups: shared, workgroupVariables };
}

/** Joins what the invocations of a workgroup found; every one of them then reads the result's parts. */
function joinWorkgroup(
  emitter: Emitter,
  accumulator: Accumulator,
  own: readonly string[],
  { invocationsPerRow: count, subgroups }: RowKernel,
  workgroupVariables: string[],
): readonly string[] {
  // Kernels side by side share workgroup memory by name, so that the type is part of it.
  const type = accumulator.dtype === "f32" ? "" : `_${accumulator.dtype}`;
  if (subgroups !== undefined)
    return joinSubgroups(
      emitter,
      accumulator,
      own,
      Math.ceil(count / subgroups.least),
      type,
      workgroupVariables,
    );
  const shared = accumulator.parts.map((part) => `shared_${part.replace(/^part_/, "")}${type}`);
  for (const name of shared)
    workgroupVariables.push(`var<workgroup> ${name}: array<${accumulator.dtype}, ${count}>;`);
  shared.forEach((name, i) => {
    emitter.line(`${name}[local] = ${own[i]};`);
  });
  emitter.line("workgroupBarrier();");
  const at = (index: string): readonly string[] => shared.map((name) => `${name}[${index}]`);
  emitter.block(`for (var half = ${count / 2}; half > 0; half /= 2)`, () => {
    emitter.block("if (local < half)", () => {
      for (const line of accumulator.join(at("local"), at("local + half"))) emitter.line(line);
    });
    emitter.line("workgroupBarrier();");
  });
  return at("0");
}

/**
 * Every subgroup joins its own, its first invocation tells the others, and all then go through the few results in order. How many
 * subgroups there are is known on the device alone.
 * @param most subgroups there may be
 */
function joinSubgroups(
  emitter: Emitter,
  accumulator: Accumulator,
  own: readonly string[],
  most: number,
  type: string,
  workgroupVariables: string[],
): readonly string[] {
  const near = accumulator.joinSubgroup(own);
  for (const line of near.lines) emitter.line(line);
  const names = accumulator.parts.map((part) => part.replace(/^part_/, ""));
  // Kernels side by side share workgroup memory by name, so that the size is part of it.
  const told = names.map((name) => `near_${name}${type}_${most}`);
  for (const name of told)
    workgroupVariables.push(`var<workgroup> ${name}: array<${accumulator.dtype}, ${most}>;`);
  emitter.block("if (lane == 0)", () => {
    told.forEach((name, i) => {
      emitter.line(`${name}[subgroup] = ${near.parts[i]};`);
    });
  });
  emitter.line("workgroupBarrier();");
  const joined = names.map((name) => `joined_${name}`);
  joined.forEach((name, i) => {
    emitter.line(`var ${name} = ${told[i]}[0];`);
  });
  emitter.block("for (var other = 1; other < subgroups; other++)", () => {
    const others = told.map((name) => `${name}[other]`);
    for (const line of accumulator.join(joined, others)) emitter.line(line);
  });
  return joined;
}
