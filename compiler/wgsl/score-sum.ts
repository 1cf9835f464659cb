import type { ScoreSumKernel } from "../kernel/index.ts";
import { Emitter, splat } from "./emitter.ts";
import { Adopted, collectVectorLoads, collectVectorStores, type KernelBody } from "./module.ts";
import { adoptScores, collectScoreLoads, ScoreBlock } from "./score-block.ts";

/** A block of (m, n): scores of one batch after the other, what is made of them summed in an array of the invocation. */
export function printScoreSum(kernel: ScoreSumKernel, bound: ReadonlySet<number>): KernelBody {
  const adopted = new Adopted();
  const { b } = adopted;
  const [batch, over, m, n] = [kernel.batch, kernel.over, kernel.m, kernel.n].map((axis) =>
    adopted.axis(axis),
  );
  if (batch === undefined || over === undefined || m === undefined || n === undefined)
    throw new Error("wgsl: no axes");
  const { tile } = kernel;
  const scores = adoptScores(adopted, kernel.scores);
  const sums = kernel.sums.map((s) => ({
    name: s.name,
    body: adopted.expr(s.body),
    stores: adopted.stores(s.stores),
  }));
  const vectors = new Set(bound);
  collectScoreLoads(scores, m, n, vectors);
  const roots = sums.flatMap((s) => [s.body, ...s.stores.map((store) => store.value)]);
  collectVectorLoads(roots, n, vectors);
  for (const s of sums) collectVectorStores(s.stores, n, vectors);
  const emitter = new Emitter(kernel.tensors, vectors);
  const block = new ScoreBlock(emitter, b, { m, n }, tile, scores);

  const [tilesM, tilesN] = [Math.ceil(m.extent / tile.m), Math.ceil(n.extent / tile.n)];
  const origin = (index: string, size: number, extent: number) =>
    extent % size === 0 ? `${index} * ${size}` : `min(${index} * ${size}, ${extent - size})`;
  emitter.line(`let m = ${origin(`(invocation / ${tilesN} % ${tilesM})`, tile.m, m.extent)};`);
  emitter.line(`let n = ${origin(`(invocation % ${tilesN})`, tile.n, n.extent)};`);
  emitter.line(`let batch = invocation / ${tilesN * tilesM};`);
  emitter.bindAxis(m, "m");
  emitter.bindAxis(n, "n");
  emitter.bindAxis(batch, "batch");
  for (const s of sums) emitter.line(`var total_${s.name}: array<vec4<f32>, ${block.points}>;`);
  emitter.block(`for (var over = 0; over < ${over.extent}; over++)`, () => {
    emitter.bindAxis(over, "over");
    block.compute();
    const bodies = sums.map((s) => b.substitute(s.body, block.toPoint));
    block.eachPoint(() => {
      emitter.expect(bodies);
      sums.forEach((s, index) => {
        emitter.line(`total_${s.name}[at] += ${splat(emitter.emit(bodies[index]!, n), "f32", 4)};`);
      });
    });
  });
  block.eachPoint(() => {
    for (const s of sums) {
      emitter.bindValue(s.name, `total_${s.name}[at]`, 4);
      for (const store of s.stores) {
        const value = emitter.emit(b.substitute(store.value, block.toPoint), n);
        emitter.store(store.tensor, b.substitute(store.index, block.toPoint), value, n);
      }
    }
  });
  return { vectorTensors: vectors, emitter, wholeWorkgroups: false, workgroupVariables: [] };
}
