import { elementSizeBytes } from "../graph/index.ts";
import {
  type AxisExpr,
  childrenOf,
  type Expr,
  KernelBuilder,
  kernelIdentity,
  type MatmulKernel,
  type PartKernel,
  Rewriter,
  type Store,
  walk,
} from "../kernel/index.ts";
import { type Dispatch, joined, rulesOf } from "./dispatch.ts";
import { hazardsOf } from "./hazards.ts";
import type { BuildContext } from "./kernels.ts";
import type { Access, Spans } from "./spans.ts";
import { boundTensors, clashOf, reach } from "./stack.ts";

/** A matmul that adds to its product the results of earlier ones, and does nothing else with them. */
interface Sum {
  readonly kernel: number;
  /** By the tensor in which each result lies. */
  readonly producers: ReadonlyMap<number, number>;
}

/**
 * Sums of contractions of one shape, such as `dq Wqᵀ + dk Wkᵀ + dv Wvᵀ`, as one contraction over all their axes, where the
 * operands lie, or can be laid, at equal distances: the partial sums stay in registers.
 * Keeps: values up to the order of summation.
 */
export function joinTerms(
  context: BuildContext,
  spans: Spans,
  dispatches: readonly Dispatch<PartKernel>[],
): readonly Dispatch<PartKernel>[] {
  const kernels = dispatches.map((dispatch) => dispatch.kernel);
  const sums = sumsOf(context, dispatches);
  if (sums.size === 0) return dispatches;
  const hazards = hazardsOf(kernels, spans);
  const summed = new Set([...sums.values()].flatMap((sum) => [...sum.producers.values()]));
  const replaced = new Map<number, Dispatch<PartKernel> | undefined>();
  for (const last of sums.keys()) {
    if (summed.has(last)) continue;
    const terms = new Map<number, Term>();
    const links = new Map<number, number>();
    const collect = (member: number): void => {
      const kernel = kernels[member]!;
      const producers = sums.get(member)?.producers ?? new Map<number, number>();
      for (const [tensor, producer] of producers) {
        links.set(tensor, producer);
        collect(producer);
      }
      if (kernel.kind === "matmul") terms.set(member, { kernel, added: new Set(producers.keys()) });
    };
    collect(last);
    // All operands are read at the last term's place: what they lie in must still be as it was.
    const stays = [...terms.keys()].every((member) =>
      [...hazards.after[member]!].every((later) => later >= last || terms.has(later)),
    );
    if (!stays) continue;
    const kernel = sumOf(context, spans, terms, links, last);
    if (kernel === undefined) continue;
    for (const member of terms.keys()) replaced.set(member, undefined);
    const whole = joined(
      context,
      kernel,
      [...terms.keys()].map((member) => dispatches[member]!),
    );
    const between = [...links].reduce((n, [tensor, producer]) => n + bytesOf(kernels[producer]!, tensor), 0);
    replaced.set(last, {
      ...whole,
      bytesRead: whole.bytesRead - between,
      bytesWritten: whole.bytesWritten - between,
    });
  }
  return dispatches.flatMap((dispatch, i) => (replaced.has(i) ? (replaced.get(i) ?? []) : [dispatch]));
}

interface Term {
  readonly kernel: MatmulKernel;
  /** Tensors whose elements it adds to its product, that other terms would have stored. */
  readonly added: ReadonlySet<number>;
}

function bytesOf(kernel: PartKernel, tensor: number): number {
  const found = kernel.tensors.find((t) => t.tensor === tensor);
  return found === undefined ? 0 : elementSizeBytes(found.dtype) * found.elementCount;
}

function sumsOf(
  context: BuildContext,
  dispatches: readonly Dispatch<PartKernel>[],
): ReadonlyMap<number, Sum> {
  const kernels = dispatches.map((dispatch) => dispatch.kernel);
  const { work, homes } = context;
  const users = new Map<number, number[]>();
  kernels.forEach((kernel, i) => {
    for (const { tensor } of kernel.tensors) users.set(tensor, [...(users.get(tensor) ?? []), i]);
  });
  const { kept } = work;
  const sums = new Map<number, { kernel: number; producers: Map<number, number> }>();
  kernels.forEach((kernel, producer) => {
    if (kernel.kind !== "matmul" || kernel.stores.length !== 1 || kernel.rhsSum !== undefined) return;
    const { tensor } = kernel.stores[0]!;
    const [, consumer, ...others] = users.get(tensor)!;
    const reader = consumer === undefined ? undefined : kernels[consumer];
    if (reader?.kind !== "matmul" || consumer === undefined || others.length > 0) return;
    if (dispatches[producer]!.turn !== dispatches[consumer]!.turn) return;
    if (
      homes.homeOf(tensor).kind !== "arena" ||
      kept.has(tensor) ||
      context.occupied.has(tensor) ||
      !isSum(kernel)
    )
      return;
    if (contractionIdentity(kernel) !== contractionIdentity(reader)) return;
    const sum = sums.get(consumer) ?? { kernel: consumer, producers: new Map<number, number>() };
    const all = new Set([...sum.producers.keys(), tensor]);
    if (reader.stores.some((store) => sumOfAll(reader, store, all) === undefined)) return;
    sum.producers.set(tensor, producer);
    sums.set(consumer, sum);
  });
  return sums;
}

/** A text that matmuls share whose tiles add up: one shape, one tiling, operands read in one way. */
function contractionIdentity(kernel: MatmulKernel): string {
  const tensors = operandsOf(kernel);
  return kernelIdentity({
    ...kernel,
    tensors,
    rhsSum: undefined,
    stores: [],
    vectorStores: false,
    epilogue: "unrolled",
  });
}

function operandsOf(kernel: MatmulKernel): MatmulKernel["tensors"] {
  const read = new Set<number>();
  walk([kernel.lhs, kernel.rhs], (e) => {
    if (e.kind === "load") read.add(e.tensor);
  });
  return kernel.tensors.filter((t) => read.has(t.tensor)).map((t) => ({ ...t, access: "read" as const }));
}

function isAccumulator(kernel: MatmulKernel, e: Expr): boolean {
  return e.kind === "value" && e.name === kernel.accumulator;
}

/** Whether a matmul's one result is its product, or that plus something. */
function isSum(kernel: MatmulKernel): boolean {
  const { value } = kernel.stores[0]!;
  const [path, ...others] = pathsOfSummands(value, (e) => isAccumulator(kernel, e));
  return path !== undefined && others.length === 0 && path.at(-1) === value;
}

/** The sum in which a matmul adds the tensors' own elements to its product, if it does nothing else with any of them. */
function sumOfAll(
  kernel: MatmulKernel,
  { value, index }: Store,
  tensors: ReadonlySet<number>,
): Expr | undefined {
  let elsewhere = false;
  walk([kernel.lhs, kernel.rhs, value], (e) => {
    if (e.kind === "load" && tensors.has(e.tensor) && e.index !== index) elsewhere = true;
  });
  const isTerm = (e: Expr) => isAccumulator(kernel, e) || (e.kind === "load" && tensors.has(e.tensor));
  return elsewhere ? undefined : commonSum(value, isTerm, 1 + tensors.size);
}

/** The least sum in which the terms stand as summands, each once, if they stand nowhere else in `value`. */
function commonSum(value: Expr, isTerm: (e: Expr) => boolean, count: number): Expr | undefined {
  const paths = pathsOfSummands(value, isTerm);
  if (paths.length !== count) return undefined;
  return paths[0]!.find((e) => paths.every((path) => path.includes(e)));
}

/** From each term up through the sums that it is a summand of, as long as nothing else reads them. */
function pathsOfSummands(value: Expr, isTerm: (e: Expr) => boolean): readonly (readonly Expr[])[] {
  const parents = new Map<Expr, Expr[]>();
  const terms: Expr[] = [];
  walk([value], (e) => {
    if (isTerm(e)) terms.push(e);
    for (const child of childrenOf(e)) parents.set(child, [...(parents.get(child) ?? []), e]);
  });
  return terms.map((term) => {
    const path = [term];
    for (let at = term; ; ) {
      const above: readonly Expr[] = parents.get(at) ?? [];
      const [next] = above;
      if (next === undefined || above.length > 1 || next.kind !== "call" || next.fn !== "add") return path;
      path.push(next);
      at = next;
    }
  });
}

/** @returns undefined where the operands cannot be bound together */
function sumOf(
  context: BuildContext,
  spans: Spans,
  terms: ReadonlyMap<number, Term>,
  links: ReadonlyMap<number, number>,
  lastTerm: number,
): MatmulKernel | undefined {
  const kernels = [...terms.values()].map((term) => term.kernel);
  const last = terms.get(lastTerm)!.kernel;
  const operands = kernels.map(operandsOf);
  const accesses = spans.accesses(operands[0]!.map((_, i) => operands.map((of) => of[i]!.tensor)));
  if (typeof accesses === "string") return undefined;
  const b = new KernelBuilder();
  const copied = (axis: AxisExpr, extent = axis.extent) => b.axis(axis.name, extent, axis.multiple);
  const { batch, m, n } = { batch: copied(last.batch), m: copied(last.m), n: copied(last.n) };
  const k = copied(last.k, last.k.extent * kernels.length);
  const term = b.floorDiv(k, last.k.extent);
  const axesOf = (kernel: MatmulKernel) => (axis: AxisExpr) => {
    switch (axis) {
      case kernel.batch:
        return batch;
      case kernel.m:
        return m;
      case kernel.n:
        return n;
      default:
        return b.modulo(k, kernel.k.extent);
    }
  };
  const first = kernels[0]!;
  const access = new Map(operands[0]!.map((t, i): [number, Access] => [t.tensor, accesses[i]!]));
  const operand = new Rewriter(b, {
    axis: axesOf(first),
    load: (e, index) => {
      const to = reach(b, access.get(e.tensor)!, term, index);
      return b.load(e.dtype, to.tensor, to.index);
    },
  });
  const accumulator = b.value("f32", last.accumulator, [m, n]);
  const plain = (kernel: MatmulKernel, whole: (e: Expr) => Expr | undefined): Rewriter =>
    new Rewriter(b, {
      axis: axesOf(kernel),
      load: (e, index) => b.load(e.dtype, e.tensor, index),
      whole,
    });
  /** The summands of a term's sum that are no products, of this and the terms it adds; undefined: there are none. */
  const others = ({ kernel, added }: Term, sum: Expr): Expr | undefined => {
    const isProduct = (e: Expr) => isAccumulator(kernel, e) || (e.kind === "load" && added.has(e.tensor));
    const rewriter = plain(kernel, () => undefined);
    const summand = (e: Expr): Expr | undefined => {
      if (isAccumulator(kernel, e)) return undefined;
      if (e.kind === "load" && added.has(e.tensor)) {
        const producer = terms.get(links.get(e.tensor)!)!;
        return others(producer, producer.kernel.stores[0]!.value);
      }
      let isPartial = false;
      walk([e], (x) => {
        if (isProduct(x)) isPartial = true;
      });
      if (!isPartial || e.kind !== "call") return rewriter.expr(e);
      const [left, right] = [summand(e.args[0]!), summand(e.args[1]!)];
      return left === undefined ? right : right === undefined ? left : b.call("add", left, right);
    };
    return summand(sum);
  };
  const whole = terms.get(lastTerm)!;
  const totals = new Set(last.stores.flatMap((store) => sumOfAll(last, store, whole.added) ?? []));
  const final = plain(last, (e) => {
    if (!totals.has(e)) return undefined;
    const rest = others(whole, e);
    return rest === undefined ? accumulator : b.call("add", accumulator, rest);
  });
  const stores = last.stores.map((s) => ({
    tensor: s.tensor,
    index: final.expr(s.index),
    value: final.expr(s.value),
  }));
  const loaded = new Set(stores.map((s) => s.tensor));
  walk(
    stores.map((s) => s.value),
    (e) => {
      if (e.kind === "load") loaded.add(e.tensor);
    },
  );
  // Operands first, then what the epilogues read, each once, results last.
  const known = new Map(kernels.flatMap((kernel) => kernel.tensors.map((t) => [t.tensor, t] as const)));
  const parameters = [...operands[0]!];
  const reached = [...accesses];
  const written = new Set(last.stores.map((s) => s.tensor));
  for (const tensor of [...[...loaded].filter((t) => !written.has(t)), ...written]) {
    if (accesses.some((a) => a.tensor === tensor)) continue;
    const found = known.get(tensor)!;
    parameters.push({ ...found, access: written.has(tensor) ? "read_write" : "read" });
    reached.push({ tensor, offset: 0, stride: 0 });
  }
  const tensors = boundTensors(context, parameters, reached, kernels.length);
  if (clashOf(context, spans, tensors) !== undefined) return undefined;
  return {
    ...last,
    rules: rulesOf(kernels, "terms"),
    comments: kernels.flatMap((kernel) => kernel.comments),
    tensors,
    flops: kernels.reduce((total, kernel) => total + kernel.flops, 0),
    batch,
    m,
    n,
    k,
    lhs: operand.expr(first.lhs),
    rhs: operand.expr(first.rhs),
    stores,
  };
}
