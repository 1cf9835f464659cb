import { randomAt, shuffle, stream } from "../random.ts";

/** Shards that are in memory together, and their examples in the epoch. */
export interface Group {
  /** Numbers of the shards. */
  readonly shards: readonly number[];
  /** Examples of the epoch before this group's, and those it has. */
  readonly firstExample: number;
  readonly examples: number;
}

/** What is known of a shard without reading it. */
export interface ShardExamples {
  readonly examples: number;
  readonly bytes: number;
}

/**
 * The groups of an epoch: its shards in an order of its own, cut into runs of as many as the buffer holds, one at least.
 *
 * Every shard is in one group of every epoch, so all epochs have the same number of examples, and where the epoch of an example
 * begins is known without those before it.
 * @param key seed and split
 * @param bufferBytes bytes of the shards' files that may be in one group
 */
export function groupShards(
  shards: readonly ShardExamples[],
  bufferBytes: number,
  key: readonly number[],
  epoch: number,
): readonly Group[] {
  const order = Int32Array.from(shards, (_, i) => i);
  shuffle(order, randomAt(stream.shardOrder, ...key, epoch));
  const groups: Group[] = [];
  let members: number[] = [];
  let bytes = 0;
  let examples = 0;
  let firstExample = 0;
  const close = (): void => {
    // A group without an example would never be read.
    if (examples > 0) groups.push({ shards: members, firstExample, examples });
    firstExample += examples;
    members = [];
    bytes = 0;
    examples = 0;
  };
  for (const shard of order) {
    const { bytes: more, examples: its } = shards[shard]!;
    if (members.length > 0 && bytes + more > bufferBytes) close();
    members.push(shard);
    bytes += more;
    examples += its;
  }
  close();
  return groups;
}

/** The group that has an example of the epoch, by bisection. */
export function groupAt(
  groups: readonly Group[],
  example: number,
): { readonly group: Group; readonly number: number } {
  let low = 0;
  let high = groups.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (groups[middle]!.firstExample <= example) low = middle;
    else high = middle;
  }
  return { group: groups[low]!, number: low };
}
