import { randomAt, shuffle, stream } from "../random.ts";
import { type Group, groupAt, groupShards, type ShardExamples } from "./epoch-groups.ts";

/** An example of a prepared corpus: whatever the epoch, the same one has the same shard and ordinal. */
export interface ShuffledExample<T> {
  readonly epoch: number;
  readonly shard: T;
  /** Of the shard in its split, of the example in its shard. */
  readonly shardNumber: number;
  readonly ordinal: number;
}

export interface ShuffledShards<T> {
  /** Examples an epoch. */
  readonly examples: number;
  /** Example `place` of the endless row: epoch after epoch, group after group, shuffled within each group. */
  at(place: number): ShuffledExample<T>;
}

/** A group in memory. */
interface LoadedGroup<T> {
  readonly epoch: number;
  readonly number: number;
  readonly shards: readonly T[];
  /** Where the examples of each shard begin among those of the group. */
  readonly starts: readonly number[];
  readonly order: Int32Array;
}

/** Groups in memory at once: a batch may span two. */
const mostLoaded = 2;

/**
 * Shuffles the examples of shards, a group of shards in memory at a time, two at most.
 * @param load reads a shard; called anew whenever its group comes up
 * @param key seed and split
 */
export function shuffleShards<T>(
  shards: readonly ShardExamples[],
  load: (shardNumber: number) => T,
  bufferBytes: number,
  key: readonly number[],
): ShuffledShards<T> {
  const examples = shards.reduce((sum, shard) => sum + shard.examples, 0);
  /** By epoch; a batch may span two. */
  const plans = new Map<number, readonly Group[]>();
  const planOf = (epoch: number): readonly Group[] => {
    let plan = plans.get(epoch);
    if (plan === undefined) {
      for (const old of plans.keys()) if (plans.size > 1) plans.delete(old);
      plan = groupShards(shards, bufferBytes, key, epoch);
      plans.set(epoch, plan);
    }
    return plan;
  };

  /** Those used last come last. */
  const loaded: LoadedGroup<T>[] = [];
  const loadedGroup = (epoch: number, number: number, group: Group): LoadedGroup<T> => {
    const known = loaded.findIndex((one) => one.epoch === epoch && one.number === number);
    if (known >= 0) {
      const [found] = loaded.splice(known, 1);
      loaded.push(found!);
      return found!;
    }
    // Out before the next comes in, so that two are the most at any moment.
    if (loaded.length >= mostLoaded) loaded.shift();
    const order = Int32Array.from({ length: group.examples }, (_, i) => i);
    shuffle(order, randomAt(stream.epochOrder, ...key, epoch, number));
    const starts: number[] = [];
    let start = 0;
    for (const shard of group.shards) {
      starts.push(start);
      start += shards[shard]!.examples;
    }
    const fresh = { epoch, number, shards: group.shards.map(load), starts, order };
    loaded.push(fresh);
    return fresh;
  };

  return {
    examples,
    at(place) {
      const epoch = Math.floor(place / examples);
      const example = place - epoch * examples;
      const { group, number } = groupAt(planOf(epoch), example);
      const { shards: texts, starts, order } = loadedGroup(epoch, number, group);
      const inGroup = order[example - group.firstExample]!;
      let slot = starts.length - 1;
      while (starts[slot]! > inGroup) slot--;
      return {
        epoch,
        shard: texts[slot]!,
        shardNumber: group.shards[slot]!,
        ordinal: inGroup - starts[slot]!,
      };
    },
  };
}
