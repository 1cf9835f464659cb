import type { AxisExpr, Expr, KernelTensor, SegmentKernel, SegmentStage } from "../kernel/index.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";
import { valueType } from "./spelling.ts";

/** Sums of equal indices; see {@link SegmentKernel}. */
export function printSegment(kernel: SegmentKernel, bound: ReadonlySet<number>): KernelBody {
  const { stage } = kernel;
  switch (stage.kind) {
    case "columns":
      return printColumns(kernel, stage, bound);
    case "sort":
      return printSort(kernel, stage, bound);
    case "rank":
      return printRank(kernel, stage, bound);
    case "sum":
      return printSum(kernel, stage, bound);
    case "join":
      return printJoin(kernel, stage, bound);
    default:
      return stage satisfies never;
  }
}

type StageOf<K extends SegmentStage["kind"]> = Extract<SegmentStage, { readonly kind: K }>;

const WHOLE_INVOCATIONS = { wholeWorkgroups: false, workgroupVariables: [] };

function tensorOf(kernel: SegmentKernel, tensor: number): KernelTensor {
  return kernel.tensors.find((t) => t.tensor === tensor)!;
}

function nameOf(kernel: SegmentKernel, tensor: number): string {
  return tensorOf(kernel, tensor).name;
}

function printColumns(
  kernel: SegmentKernel,
  stage: StageOf<"columns">,
  bound: ReadonlySet<number>,
): KernelBody {
  const adopted = new Adopted();
  const { b } = adopted;
  const item = adopted.axis(kernel.item);
  const column = adopted.axis(stage.column);
  const lane = stage.width === 4 ? column : undefined;
  const value = adopted.expr(stage.value);
  const outIndex = b.addIndex(b.scaleIndex(adopted.expr(kernel.rowIndex), column.extent), column);
  const vectors = new Set(bound);
  collectVectorLoads([value], lane, vectors);
  collectVectorStores([{ tensor: stage.outTensor, index: outIndex, value }], lane, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  emitter.expect([value, outIndex]);
  emitter.line(`let column = invocation${stage.width === 4 ? " * 4" : ""};`);
  emitter.bindAxis(column, "column");
  emitter.block(`for (var item = 0; item < ${item.extent}; item += 1)`, () => {
    emitter.bindAxis(item, "item");
    emitter.addTo(stage.outTensor, outIndex, emitter.emit(value, lane), lane);
  });
  return { vectorTensors: vectors, emitter, ...WHOLE_INVOCATIONS };
}

/** Bitonic: log2(block) (log2(block) + 1) / 2 rounds of compare and exchange (Batcher 1968). */
function printSort(kernel: SegmentKernel, stage: StageOf<"sort">, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const item = adopted.axis(kernel.item);
  const rowIndex = adopted.expr(kernel.rowIndex);
  const emitter = new Emitter(kernel.tensors, bound);
  emitter.expect([rowIndex]);
  const { block } = stage;
  const size = kernel.workgroupSize;
  const out = nameOf(kernel, stage.outTensor);
  // Kernels side by side share workgroup memory by name, so that the size is part of it.
  const keys = `keys_${block}`;
  const eachPlace = (body: () => void) =>
    emitter.block(`for (var place = local; place < ${block}; place += ${size})`, body);
  emitter.line(`let first = workgroup * ${block};`);
  eachPlace(() => {
    emitter.line("let item = first + place;");
    emitter.line("var key = 0xffffffffu;");
    emitter.block(`if (item < ${item.extent})`, () => {
      emitter.bindAxis(item, "item");
      emitter.line(`key = u32(${emitter.emit(rowIndex).text}) * ${block}u + u32(place);`);
    });
    emitter.line(`${keys}[place] = key;`);
  });
  emitter.line("workgroupBarrier();");
  emitter.block(`for (var run = 2; run <= ${block}; run *= 2)`, () => {
    emitter.block("for (var gap = run / 2; gap > 0; gap /= 2)", () => {
      emitter.block(`for (var pair = local; pair < ${block / 2}; pair += ${size})`, () => {
        emitter.line("let low = 2 * pair - (pair & (gap - 1));");
        emitter.line(`let a = ${keys}[low];`);
        emitter.line(`let b = ${keys}[low + gap];`);
        emitter.block("if ((a > b) == ((low & run) == 0))", () => {
          emitter.line(`${keys}[low] = b;`);
          emitter.line(`${keys}[low + gap] = a;`);
        });
      });
      emitter.line("workgroupBarrier();");
    });
  });
  eachPlace(() => {
    if (stage.writes === "keys") emitter.line(`${out}[first + place] = ${keys}[place];`);
    else emitter.line(`if (place < ${item.extent}) { ${out}[place] = i32(${keys}[place] % ${block}u); }`);
  });
  return {
    vectorTensors: bound,
    emitter,
    wholeWorkgroups: true,
    workgroupVariables: [`var<workgroup> ${keys}: array<u32, ${block}>;`],
  };
}

function printRank(kernel: SegmentKernel, stage: StageOf<"rank">, bound: ReadonlySet<number>): KernelBody {
  const emitter = new Emitter(kernel.tensors, bound);
  const { block } = stage;
  const keys = nameOf(kernel, stage.keysTensor);
  emitter.line(`let block = invocation / ${block};`);
  emitter.line(`let key = ${keys}[invocation];`);
  emitter.line(`let row = key / ${block}u;`);
  emitter.line(`var rank = invocation % ${block};`);
  emitter.block(`for (var other = 0; other < ${Math.ceil(kernel.item.extent / block)}; other += 1)`, () => {
    emitter.line("if (other == block) { continue; }");
    emitter.line("// Of the same row, all items of earlier blocks come first and none of later ones.");
    emitter.line(`let bound = select(row, row + 1u, other < block) * ${block}u;`);
    emitter.line("var low = 0;");
    emitter.line(`var high = ${block};`);
    emitter.block("while (low < high)", () => {
      emitter.line("let middle = (low + high) / 2;");
      emitter.line(
        `if (${keys}[other * ${block} + middle] < bound) { low = middle + 1; } else { high = middle; }`,
      );
    });
    emitter.line("rank += low;");
  });
  emitter.line(`${nameOf(kernel, stage.outTensor)}[rank] = block * ${block} + i32(key % ${block}u);`);
  return { vectorTensors: bound, emitter, ...WHOLE_INVOCATIONS };
}

/** What `sum` and `join` share: rows of items by their place in the order, and elements of the result by row. */
class Ordered {
  readonly adopted = new Adopted();
  readonly column: AxisExpr;
  readonly lane: AxisExpr | undefined;
  /** Of the result. */
  readonly rows: number;
  readonly #kernel: SegmentKernel;
  readonly #rowIndex: Expr;
  readonly #order: string;

  constructor(kernel: SegmentKernel, stage: StageOf<"sum"> | StageOf<"join">) {
    this.#kernel = kernel;
    this.column = this.adopted.axis(stage.column);
    this.lane = stage.width === 4 ? this.column : undefined;
    this.rows = tensorOf(kernel, stage.outTensor).elementCount / this.column.extent;
    this.#rowIndex = this.adopted.expr(kernel.rowIndex);
    this.#order = nameOf(kernel, stage.orderTensor);
  }

  /** Writes `let <item> = order[<place>]`. @returns the row of that item, as text */
  rowAt(emitter: Emitter, place: string, item: string): string {
    const { b } = this.adopted;
    emitter.line(`let ${item} = ${this.#order}[${place}];`);
    const axis = b.axis(item, this.#kernel.item.extent);
    emitter.bindAxis(axis, item);
    const row = b.substitute(this.#rowIndex, new Map([[this.adopted.axis(this.#kernel.item), axis]]));
    return emitter.emit(row).text;
  }

  /** The index of the column in hand of the row (or chunk) that the variable `text` holds from here on. */
  elementOf(emitter: Emitter, text: string, extent: number): Expr {
    const { b } = this.adopted;
    const axis = b.axis(text, extent);
    emitter.bindAxis(axis, text);
    return this.indexOf(axis);
  }

  indexOf(row: Expr): Expr {
    const { b } = this.adopted;
    return b.addIndex(b.scaleIndex(row, this.column.extent), this.column);
  }
}

function printSum(kernel: SegmentKernel, stage: StageOf<"sum">, bound: ReadonlySet<number>): KernelBody {
  const ordered = new Ordered(kernel, stage);
  const { adopted, column, lane } = ordered;
  const item = adopted.axis(kernel.item);
  const value = adopted.expr(stage.value);
  const items = item.extent;
  const { outTensor, partialTensor, chunk, width } = stage;
  const vectors = vectorsOf(ordered, bound, [value], [outTensor, partialTensor]);
  const emitter = new Emitter(kernel.tensors, vectors);
  emitter.expect([value]);
  const { dtype } = stage.value;
  const zero = `${valueType(dtype, width)}(0)`;
  const columns = column.extent / width;
  emitter.line(`let chunk = invocation / ${columns};`);
  emitter.line(`let column = (invocation % ${columns}) * ${width};`);
  emitter.bindAxis(column, "column");
  emitter.line(`let first = chunk * ${chunk};`);
  emitter.line(`var row = ${ordered.rowAt(emitter, "first", "head")};`);
  if (partialTensor !== undefined)
    emitter.line(
      `var goesOn = (first > 0) && (${ordered.rowAt(emitter, "max(first, 1) - 1", "before")} == row);`,
    );
  emitter.line(`var total = ${zero};`);
  const put = () => {
    const total = { text: "total", width } as const;
    emitter.line("let done = row;");
    const toResult = () => {
      emitter.store(outTensor, ordered.elementOf(emitter, "done", ordered.rows), total, lane);
    };
    if (partialTensor === undefined) {
      toResult();
      return;
    }
    emitter.block("if (goesOn)", () => {
      emitter.store(
        partialTensor,
        ordered.elementOf(emitter, "chunk", Math.ceil(items / chunk)),
        total,
        lane,
      );
    });
    emitter.block("if (!goesOn)", toResult);
  };
  emitter.block(`for (var place = first; place < min(first + ${chunk}, ${items}); place += 1)`, () => {
    const here = ordered.rowAt(emitter, "place", "item");
    emitter.block(`if (${here} != row)`, () => {
      put();
      if (partialTensor !== undefined) emitter.line("goesOn = false;");
      emitter.line(`row = ${here};`);
      emitter.line(`total = ${zero};`);
    });
    emitter.bindAxis(item, "item");
    emitter.line(`total += ${splat(emitter.emit(value, lane), dtype, width)};`);
  });
  put();
  return { vectorTensors: vectors, emitter, ...WHOLE_INVOCATIONS };
}

function printJoin(kernel: SegmentKernel, stage: StageOf<"join">, bound: ReadonlySet<number>): KernelBody {
  const ordered = new Ordered(kernel, stage);
  const { adopted, column, lane } = ordered;
  const { outTensor, partialTensor, chunk, width } = stage;
  const { b } = adopted;
  const items = kernel.item.extent;
  const vectors = vectorsOf(ordered, bound, [], [outTensor, partialTensor]);
  const emitter = new Emitter(kernel.tensors, vectors);
  const { dtype } = tensorOf(kernel, outTensor);
  const columns = column.extent / width;
  emitter.line(`let chunk = invocation / ${columns};`);
  emitter.line(`let column = (invocation % ${columns}) * ${width};`);
  emitter.bindAxis(column, "column");
  emitter.line(`let first = chunk * ${chunk};`);
  emitter.line(`let next = first + ${chunk};`);
  emitter.line(`let row = ${ordered.rowAt(emitter, "next - 1", "last")};`);
  emitter.line(`if (${ordered.rowAt(emitter, "next", "follower")} != row) { return; }`);
  emitter.line("// The chunk in which the row begins joins it.");
  const head = ordered.rowAt(emitter, "first", "head");
  const before = ordered.rowAt(emitter, "max(first, 1) - 1", "before");
  emitter.line(`if ((first > 0) && (${head} == row) && (${before} == row)) { return; }`);
  const outIndex = ordered.elementOf(emitter, "row", ordered.rows);
  const begun = emitter.emit(b.load(dtype, outTensor, outIndex), lane);
  emitter.line(`var total = ${begun.text};`);
  emitter.block(`for (var place = next; place < ${items}; place += ${chunk})`, () => {
    emitter.line(`if (${ordered.rowAt(emitter, "place", "item")} != row) { break; }`);
    emitter.line(`let later = place / ${chunk};`);
    const index = ordered.elementOf(emitter, "later", Math.ceil(items / chunk));
    emitter.line(`total += ${emitter.emit(b.load(dtype, partialTensor, index), lane).text};`);
  });
  emitter.store(outTensor, outIndex, { text: "total", width }, lane);
  return { vectorTensors: vectors, emitter, ...WHOLE_INVOCATIONS };
}

/** Tensors that are read or written four columns at once. */
function vectorsOf(
  ordered: Ordered,
  bound: ReadonlySet<number>,
  roots: readonly Expr[],
  ofColumns: readonly (number | undefined)[],
): ReadonlySet<number> {
  const vectors = new Set(bound);
  collectVectorLoads(roots, ordered.lane, vectors);
  if (ordered.lane !== undefined)
    for (const tensor of ofColumns) if (tensor !== undefined) vectors.add(tensor);
  return vectors;
}
