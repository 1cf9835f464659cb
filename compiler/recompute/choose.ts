import type { Graph, MemoryUse, NodeId, PlannedVertex } from "../graph/index.ts";
import { chooseBorders } from "./borders.ts";
import { Timeline } from "./estimate.ts";
import { CutNetwork } from "./min-cut.ts";
import type { Recomputation } from "./types.ts";
import { workOf } from "./work.ts";

/** Between two prices of a byte that are tried. */
const PRICE_RATIO = 4;
const PRICES = 16;

export interface ChooseOptions {
  /** Bytes that may be alive at once. */
  readonly limitBytes: number;
  /** Floating-point operations that a device does while it moves a byte. */
  readonly flopsPerByte: number;
}

/**
 * Chooses what to compute again after the step with the most bytes alive: of all choices tried the one with the least work that fits,
 * or, where none does, the one with the fewest bytes.
 *
 * Between keeping everything and keeping little there is one exact choice for every price of a byte: the minimum cut of a network in
 * which keeping a value costs its bytes and making it costs its work and that its sources are there. Values made again must not
 * wait long for their readers, so the values alive at a few borders are always kept; what lies between two
 * borders is then made right before the readers in between (Chen et al. 2016, arXiv:1604.06174, with borders found from the graph).
 * @returns undefined where nothing can be computed again
 */
export function chooseRecomputation(
  graph: Graph,
  use: MemoryUse,
  { limitBytes, flopsPerByte }: ChooseOptions,
): Recomputation | undefined {
  const timeline = new Timeline(use);
  const works = new Map(
    timeline.early.map((vertex) => [vertex.node, workOf(graph, timeline.vertices, vertex, flopsPerByte)]),
  );
  let best: Recomputation | undefined;
  const isBetter = (a: Recomputation, b: Recomputation | undefined): boolean => {
    if (b === undefined) return true;
    const [fits, others] = [a.liveBytes <= limitBytes, b.liveBytes <= limitBytes];
    if (fits !== others) return fits;
    return fits
      ? a.work < b.work
      : a.liveBytes < b.liveBytes || (a.liveBytes === b.liveBytes && a.work < b.work);
  };
  const tried = (borders: ReadonlySet<NodeId>, priceAt: (step: number) => number): boolean => {
    const found = recomputationAt(timeline, works, borders, priceAt);
    if (found.again.size > 0 && isBetter(found, best)) best = found;
    return found.liveBytes <= limitBytes;
  };
  for (const borders of chooseBorders(timeline)) {
    // A higher price keeps fewer bytes: the least that fits.
    const price = (index: number): number => flopsPerByte * PRICE_RATIO ** (index - PRICES / 4);
    const least = firstThat(PRICES, (index) => tried(borders, () => price(index)));
    if (least === 0 || least === PRICES) continue;
    // Equal layers change sides together. The price rises for the first of them alone, as few as will do: their turn in the
    // backward pass comes last, when least is kept.
    firstThat(timeline.peakStep, (last) => tried(borders, (step) => price(step <= last ? least : least - 1)));
  }
  return best !== undefined && best.liveBytes < timeline.liveBytes ? best : undefined;
}

/** The least of 0, 1, ... below `count` for which `holds`, if it then holds for all greater ones; else `count`. */
function firstThat(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The cheapest choice where keeping a byte of what is computed at a step costs `priceAt` it. */
function recomputationAt(
  timeline: Timeline,
  works: ReadonlyMap<NodeId, number>,
  borders: ReadonlySet<NodeId>,
  priceAt: (step: number) => number,
): Recomputation {
  const network = new CutNetwork();
  const source = network.addNode();
  const sink = network.addNode();
  // On the sink's side: `made` where the value is computed again, `there` where it is there after the peak, made or kept.
  const made = new Map<NodeId, number>();
  const there = new Map<NodeId, number>();
  for (const vertex of timeline.early) {
    const { node, sizeBytes, place, sources } = vertex;
    const [makes, is] = [network.addNode(), network.addNode()];
    made.set(node, makes);
    there.set(node, is);
    const isFixed = vertex.isRequired || borders.has(node);
    network.addEdge(source, makes, isFixed ? Number.POSITIVE_INFINITY : Math.ceil(works.get(node)!));
    network.addEdge(makes, is, place === "fixed" ? 0 : Math.ceil(sizeBytes * priceAt(vertex.step)));
    for (const from of sources) {
      const before = there.get(from);
      if (before !== undefined) network.addEdge(before, makes, Number.POSITIVE_INFINITY);
    }
    if (timeline.lateReads.has(node)) network.addEdge(is, sink, Number.POSITIVE_INFINITY);
  }
  const isOnSourceSide = network.cut(source, sink);
  const again = new Set<NodeId>();
  const kept = new Set<NodeId>();
  const stack = [...timeline.lateReads.keys()].map((node) => ({ node, isForMaking: false }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, isForMaking } = next;
    if (isOnSourceSide[made.get(node)!]!) {
      if (isForMaking) kept.add(node);
    } else if (!again.has(node)) {
      again.add(node);
      for (const from of timeline.vertices.get(node)!.sources) stack.push({ node: from, isForMaking: true });
    }
  }
  const sum = (ids: Iterable<NodeId>, of: (vertex: PlannedVertex) => number): number =>
    [...ids].reduce((total, id) => total + of(timeline.vertices.get(id)!), 0);
  return {
    peakStep: timeline.peakStep,
    again,
    kept,
    freedBytes: sum(again, ({ node, sizeBytes }) => (timeline.lateReads.has(node) ? sizeBytes : 0)),
    peakBytes: timeline.liveBytes,
    work: sum(again, ({ node }) => works.get(node)!),
    liveBytes: timeline.liveBytesWith(again),
  };
}
