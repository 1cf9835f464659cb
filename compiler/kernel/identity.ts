import { childrenOf, type Expr } from "./expr.ts";
import type { Kernel, Score, Store } from "./kernel.ts";

/**
 * A text that two kernels share exactly when they compute the same from differently named buffers: names, comments and
 * tensor ids are replaced by positions.
 */
export function kernelIdentity(kernel: Kernel): string {
  const tensors = new Map(kernel.tensors.map((t, i) => [t.tensor, i]));
  const numbers = new Map<Expr, number>();
  const lines: string[] = [];
  const number = (e: Expr): number => {
    const known = numbers.get(e);
    if (known !== undefined) return known;
    const children = childrenOf(e).map(number);
    const made = numbers.size;
    numbers.set(e, made);
    lines.push(`${e.dtype} ${detail(e)} ${children.join(" ")}`);
    return made;
  };
  const detail = (e: Expr): string => {
    switch (e.kind) {
      case "constant":
        return Object.is(e.value, -0) ? "-0" : `${e.value}`;
      case "axis":
        // Two axes of one kernel may be alike in all but their number, which `numbers` tells apart.
        return `axis ${e.name} ${e.extent} ${e.multiple}`;
      case "sum":
        return `sum ${e.constant} ${e.terms.map((t) => t.coefficient).join(" ")}`;
      case "div":
      case "mod":
        return `${e.kind} ${e.by}`;
      case "load":
        return `load ${tensors.get(e.tensor)}`;
      case "call":
        return e.fn;
      case "select":
      case "cast":
        return e.kind;
      case "value":
        return `value ${e.name}`;
      default:
        return e satisfies never;
    }
  };
  const stores = (list: readonly Store[]) =>
    list.map((s) => `${tensors.get(s.tensor)}[${number(s.index)}]=${number(s.value)}`).join(";");
  const scoresOf = (scores: readonly Score[]) =>
    scores.map(
      (s) => `${s.name} ${number(s.k)} ${number(s.lhs)} ${number(s.rhs)} ${s.lhsVector} ${s.rhsVector}`,
    );
  const shape = ((): string => {
    switch (kernel.kind) {
      case "map":
        return `${number(kernel.axis)} ${kernel.width} ${kernel.vectorsPerInvocation} ${stores(kernel.stores)}`;
      case "row": {
        const sweeps = kernel.sweeps.map(
          (sweep) =>
            sweep.reductions.map((r) => `${r.name} ${r.op} ${r.dtype} ${number(r.body)}`).join(",") +
            "/" +
            stores(sweep.stores) +
            (sweep.columns.length === 0 ? "" : `/${stores(sweep.columns)}`),
        );
        const join = kernel.subgroups === undefined ? "" : ` subgroups ${kernel.subgroups.least}`;
        const { blocks } = kernel;
        const blocked = blocks === undefined ? "" : ` blocks ${number(blocks.block)} ${blocks.rows}`;
        return `${number(kernel.row)} ${number(kernel.inner)} ${kernel.vector} ${kernel.invocationsPerRow}${join}${blocked} ${sweeps.join("|")} ${stores(kernel.rowStores)}`;
      }
      case "matmul": {
        const axes = [kernel.batch, kernel.m, kernel.n, kernel.k].map(number).join(" ");
        const { m, n, k } = kernel.tile;
        const block = kernel.block && `${kernel.block.m}x${kernel.block.n}x${kernel.block.k}`;
        const matrices = kernel.matrices && JSON.stringify(kernel.matrices);
        const sum = kernel.rhsSum && `${tensors.get(kernel.rhsSum.tensor)}[${number(kernel.rhsSum.index)}]`;
        return `${axes} ${m} ${n} ${k} ${number(kernel.lhs)} ${number(kernel.rhs)} ${kernel.lhsVector} ${kernel.rhsVector} ${kernel.vectorStores} ${kernel.neighbours} ${kernel.epilogue} ${block} ${matrices === undefined ? "" : `${matrices} `}${sum} ${stores(kernel.stores)}`;
      }
      case "score_sum": {
        const axes = [kernel.batch, kernel.over, kernel.m, kernel.n].map(number).join(" ");
        const sums = kernel.sums.map((s) => `${s.name} ${number(s.body)} ${stores(s.stores)}`);
        return [`${axes} ${kernel.tile.m} ${kernel.tile.n}`, ...scoresOf(kernel.scores), ...sums].join("|");
      }
      case "stream": {
        const axes = [kernel.batch, kernel.outer, kernel.stream].map(number).join(" ");
        const scores = scoresOf(kernel.scores);
        const reductions = kernel.reductions.map((r) => `${r.name} ${r.op} ${r.dtype} ${number(r.body)}`);
        const sums = kernel.sums.map(
          (s) =>
            `${s.name} ${number(s.n)} ${number(s.weight)} ${number(s.operand)} ${s.online} ${stores(s.stores)}`,
        );
        return [
          `${axes} ${kernel.tile.outer} ${kernel.tile.stream} ${kernel.tile.k}`,
          ...scores,
          ...reductions,
          ...sums,
          stores(kernel.rowStores),
        ].join("|");
      }
      case "segment": {
        const { item, rowIndex, stage } = kernel;
        const tensor = (id: number | undefined) => (id === undefined ? "none" : tensors.get(id));
        const columns = (s: { readonly column: Expr; readonly width: number }) =>
          `${number(s.column)} ${s.width}`;
        const detailed = ((): string => {
          switch (stage.kind) {
            case "columns":
              return `${columns(stage)} ${number(stage.value)}`;
            case "sort":
              return `${stage.block} ${stage.writes}`;
            case "rank":
              return `${stage.block} ${tensor(stage.keysTensor)}`;
            case "sum":
              return `${columns(stage)} ${number(stage.value)} ${stage.chunk} ${tensor(stage.orderTensor)} ${tensor(stage.partialTensor)}`;
            case "join":
              return `${columns(stage)} ${stage.chunk} ${tensor(stage.orderTensor)} ${tensor(stage.partialTensor)}`;
            default:
              return stage satisfies never;
          }
        })();
        return `${stage.kind} ${number(item)} ${number(rowIndex)} ${tensor(stage.outTensor)} ${detailed}`;
      }
      case "beside":
        return kernel.parts
          .map(
            (part) => `${part.tensors.map((t) => tensors.get(t.tensor)).join(" ")}\n${kernelIdentity(part)}`,
          )
          .join("\n");
      default:
        return kernel satisfies never;
    }
  })();
  const bindings = kernel.tensors.map((t) => `${t.dtype} ${t.access}`).join(",");
  return [kernel.kind, kernel.workgroupSize, bindings, shape, ...lines].join("\n");
}
