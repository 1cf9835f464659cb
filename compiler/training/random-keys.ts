import { type GraphBuilder, invariant, type NodeId } from "../graph/index.ts";

/** Elements from one stream's key to the next: 256 bytes, so that a binding can start at any of them. */
const KEY_STRIDE = 64;

/**
 * Keys of all random streams of one micro-batch, in one tensor so that the kernels of equal layers differ only in
 * where their binding of it starts: key i is `hash(hash(hash(hash(seed) + step) + micro) + 64 i)`.
 * @param seed u32 [], step i32 [], micro i32 [] (0 without accumulation)
 * @returns a u32 [] node for each stream
 */
export function randomKeys(
  b: GraphBuilder,
  streams: number,
  { seed, step, micro }: { readonly seed: NodeId; readonly step: NodeId; readonly micro: NodeId },
): (stream: number) => NodeId {
  if (streams === 0)
    return (stream) => {
      throw new Error(`random stream ${stream} in a graph that declares none`);
    };
  const mixIn = (key: NodeId, count: NodeId): NodeId => b.hash(b.add(key, b.cast(count, "u32")));
  const ofBatch = mixIn(mixIn(b.hash(seed), step), micro);
  const shape = [KEY_STRIDE * streams];
  const keys = b.hash(b.add(b.broadcast(ofBatch, shape, []), b.cast(b.iota(shape, 0), "u32")));
  return (stream) => {
    invariant(stream >= 0 && stream < streams, () => `random stream ${stream} of ${streams}`);
    return b.view(keys, KEY_STRIDE * stream, []);
  };
}
