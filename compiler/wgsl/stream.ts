import type { Expr, Reduction, StreamKernel } from "../kernel/index.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";
import { adoptScores, collectScoreLoads, ScoreBlock } from "./score-block.ts";
import { literal } from "./spelling.ts";

const COMPONENTS = ["x", "y", "z", "w"] as const;

/**
 * A block of rows walks the stream: scores of a block in registers, what is made of them in registers too, and the rows of the
 * sums in an array of the invocation, updated a vec4 at a time.
 */
export function printStream(kernel: StreamKernel, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const { b } = adopted;
  const [batch, outer, stream] = [kernel.batch, kernel.outer, kernel.stream].map((axis) =>
    adopted.axis(axis),
  );
  if (batch === undefined || outer === undefined || stream === undefined) throw new Error("wgsl: no axes");
  const { tile } = kernel;
  const isWhole = stream.extent % tile.stream === 0;
  // The last block is shifted back; what an earlier block has had counts as nothing.
  const isNew = b.call("le", b.value("i32", "block", []), stream);
  const onlyNew = (e: Expr, otherwise: number): Expr =>
    isWhole ? e : b.select(isNew, e, b.constant(e.dtype, otherwise));
  const scores = adoptScores(adopted, kernel.scores);
  const reductions = kernel.reductions.map((r) => ({
    ...r,
    body: onlyNew(adopted.expr(r.body), r.op === "logsumexp" ? Number.NEGATIVE_INFINITY : 0),
  }));
  const sums = kernel.sums.map((s) => ({
    ...s,
    n: adopted.axis(s.n),
    weight: onlyNew(adopted.expr(s.weight), 0),
    operand: adopted.expr(s.operand),
    stores: adopted.stores(s.stores),
  }));
  const rowStores = adopted.stores(kernel.rowStores);

  const vectors = new Set(bound);
  collectScoreLoads(scores, outer, stream, vectors);
  collectVectorLoads([...reductions.map((r) => r.body), ...sums.map((s) => s.weight)], stream, vectors);
  for (const s of sums) {
    collectVectorLoads([s.operand, ...s.stores.map((store) => store.value)], s.n, vectors);
    collectVectorStores(s.stores, s.n, vectors);
  }
  const emitter = new Emitter(kernel.tensors, vectors);
  const axes = { m: outer, n: stream };
  const block = new ScoreBlock(emitter, b, axes, { m: tile.outer, n: tile.stream }, scores);
  const { rows, quads, row } = block;
  const count = quads.length;
  const blocks = Math.ceil(outer.extent / tile.outer);
  const first = `invocation % ${blocks} * ${tile.outer}`;
  emitter.line(
    `let first_row = ${outer.extent % tile.outer === 0 ? first : `min(${first}, ${outer.extent - tile.outer})`};`,
  );
  emitter.line(`let batch = invocation / ${blocks};`);
  emitter.bindAxis(outer, "first_row");
  emitter.bindAxis(batch, "batch");
  for (const s of sums) emitter.line(`var ${s.name}: array<vec4<f32>, ${(tile.outer * s.n.extent) / 4}>;`);
  for (const r of reductions) {
    emitter.line(`var total_${r.name}: array<vec4<f32>, ${tile.outer}>;`);
    if (r.op !== "logsumexp") continue;
    emitter.line(`var top_${r.name}: array<f32, ${tile.outer}>;`);
    emitter.line(`var scale_${r.name}: array<f32, ${tile.outer}>;`);
    const lowest = literal("f32", Number.NEGATIVE_INFINITY);
    emitter.line(`for (var i = 0; i < ${tile.outer}; i++) { top_${r.name}[i] = ${lowest}; }`);
  }

  const from = isWhole ? "column" : "block";
  emitter.block(`for (var ${from} = 0; ${from} < ${stream.extent}; ${from} += ${tile.stream})`, () => {
    if (!isWhole) {
      emitter.bindValue("block", "block", 1);
      emitter.line(`let column = min(block, ${stream.extent - tile.stream});`);
    }
    emitter.bindAxis(stream, "column");
    block.compute();
    if (reductions.length > 0) {
      const terms = reductions.map((r) => b.substitute(r.body, block.toPoint));
      for (const r of reductions) emitter.line(`var term_${r.name}: array<vec4<f32>, ${block.points}>;`);
      block.eachPoint(() => {
        emitter.expect(terms);
        reductions.forEach((r, index) => {
          emitter.line(`term_${r.name}[at] = ${splat(emitter.emit(terms[index]!, stream), "f32", 4)};`);
        });
      });
      emitter.block(`for (var i = 0; i < ${tile.outer}; i++)`, () => {
        for (const r of reductions) takeTerms(emitter, r, count);
      });
    }
    const weights = sums.map((s) => b.substitute(s.weight, block.toPoint));
    sums.forEach((s) => {
      emitter.line(`var weight_${s.name}: array<vec4<f32>, ${block.points}>;`);
    });
    block.eachPoint(() => {
      for (const r of reductions) emitter.bindValue(`${r.name}_max`, `top_${r.name}[i]`, 1);
      emitter.expect(weights);
      sums.forEach((s, index) => {
        emitter.line(`weight_${s.name}[at] = ${splat(emitter.emit(weights[index]!, stream), "f32", 4)};`);
      });
    });
    for (const s of sums) {
      const weight = (i: number, j: number) => `${s.name}_weight_${i}_${j}`;
      for (const i of rows)
        for (const j of quads) emitter.line(`let ${weight(i, j)} = weight_${s.name}[${i * count + j}];`);
      emitter.block(`for (var n = 0; n < ${s.n.extent}; n += 4)`, () => {
        emitter.bindAxis(s.n, "n");
        const place = (i: number) => `${s.name}[${(i * s.n.extent) / 4} + (n >> 2u)]`;
        for (const i of rows) {
          const scale = s.online === undefined ? "" : ` * scale_${s.online}[${i}]`;
          emitter.line(`var run_${i} = ${place(i)}${scale};`);
        }
        for (const j of quads)
          COMPONENTS.forEach((component, c) => {
            const to = new Map<Expr, Expr>();
            if (4 * j + c > 0) to.set(stream, b.addIndex(stream, b.constant("i32", 4 * j + c)));
            const operand = splat(emitter.emit(b.substitute(s.operand, to), s.n), "f32", 4);
            const name = emitter.name(operand, "t_");
            for (const i of rows) emitter.line(`run_${i} += ${weight(i, j)}.${component} * ${name};`);
          });
        for (const i of rows) emitter.line(`${place(i)} = run_${i};`);
      });
    }
  });

  emitter.block(`for (var i = 0; i < ${tile.outer}; i++)`, () => {
    emitter.bindAxis(row, "i");
    for (const r of reductions) {
      const total = `total_${r.name}[i]`;
      emitter.line(`let all_${r.name} = (${total}.x + ${total}.y) + (${total}.z + ${total}.w);`);
      const result = r.op === "logsumexp" ? `top_${r.name}[i] + log(all_${r.name})` : `all_${r.name}`;
      emitter.line(`let ${r.name} = ${result};`);
      emitter.bindValue(r.name, r.name, 1);
    }
    const atRow = new Map<Expr, Expr>([[outer, b.addIndex(outer, row)]]);
    for (const s of rowStores) {
      emitter.store(s.tensor, b.substitute(s.index, atRow), emitter.emit(b.substitute(s.value, atRow)));
    }
    for (const s of sums) {
      // By the total itself: a logsumexp of large scores has few digits after the point.
      const end = s.online === undefined ? "" : ` / all_${s.online}`;
      emitter.block(`for (var n = 0; n < ${s.n.extent}; n += 4)`, () => {
        emitter.bindAxis(s.n, "n");
        emitter.line(`let result = ${s.name}[i * ${s.n.extent / 4} + (n >> 2u)]${end};`);
        emitter.bindValue(s.name, "result", 4);
        for (const store of s.stores) {
          const value = emitter.emit(b.substitute(store.value, atRow), s.n);
          emitter.store(store.tensor, b.substitute(store.index, atRow), value, s.n);
        }
      });
    }
  });
  return { vectorTensors: vectors, emitter, wholeWorkgroups: false, workgroupVariables: [] };
}

/** Takes the terms of row `i` of a block into its running result; what was summed below the old maximum is scaled. */
function takeTerms(emitter: Emitter, r: Reduction, count: number): void {
  const terms = Array.from({ length: count }, (_, j) => `term_${r.name}[i * ${count} + ${j}]`);
  const total = `total_${r.name}[i]`;
  if (r.op !== "logsumexp") {
    emitter.line(`${total} += ${terms.join(" + ")};`);
    return;
  }
  const top = `top_${r.name}[i]`;
  const [most, next, scale] = [`most_${r.name}`, `next_${r.name}`, `by_${r.name}`];
  emitter.line(`let ${most} = ${terms.reduce((a, c) => `max(${a}, ${c})`)};`);
  emitter.line(`let ${next} = max(${top}, max(max(${most}.x, ${most}.y), max(${most}.z, ${most}.w)));`);
  emitter.line(`let ${scale} = exp(${top} - ${next});`);
  emitter.line(`${top} = ${next};`);
  emitter.line(`scale_${r.name}[i] = ${scale};`);
  emitter.line(
    `${total} = ${total} * ${scale} + (${terms.map((term) => `exp(${term} - ${next})`).join(" + ")});`,
  );
}
