import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../compiler/graph/index.ts";
import type { Tuning } from "../../compiler/program/index.ts";
import { problemsOf, type ScheduledDispatch, schedule } from "../../compiler/schedule/index.ts";
import { softwareProfile } from "../../runtime/device/index.ts";
import { type KernelToTune, kernelsToTune } from "../../tools/tuning/kernels-to-tune.ts";
import { type Trial, type TunedKernel, tuneKernels } from "../../tools/tuning/tune-kernels.ts";

const profile = softwareProfile;

/** Two matmuls of which the second has eight times as much to do, one after the other. */
const twoMatmuls = (() => {
  const b = new GraphBuilder({ path: "", at: "", label: "x", pass: "test" });
  const small = b.einsum(b.parameter("a", [64, 32]), b.parameter("b", [32, 64]), {
    lhs: [0, 1],
    rhs: [1, 2],
    out: [0, 2],
  });
  b.output("y", b.einsum(small, b.parameter("c", [64, 256]), { lhs: [0, 2], rhs: [2, 3], out: [0, 3] }));
  return schedule(b.build(), profile, { fuse: true });
})();

const kernels = kernelsToTune([{ schedule: twoMatmuls, times: 1, ms: undefined }], profile);

interface Told {
  /** Milliseconds of a dispatch by variant, the same for all kernels. */
  readonly ms: (variant: string) => number;
  /** What is wrong with a variant. */
  readonly wrong?: (variant: string) => string | undefined;
  readonly refused?: (variant: string) => string | undefined;
  readonly earlier?: Tuning;
  readonly only?: readonly KernelToTune[];
  readonly budgetMs?: number;
  /** Ctrl-C when so many variants have been opened. */
  readonly stopAfter?: number;
}

/** Tunes on a device whose times and results are told. */
async function tuneAs(
  told: Told,
): Promise<{ tuned: readonly TunedKernel[]; opened: readonly string[]; open: number }> {
  const opened: string[] = [];
  let open = 0;
  const stop = new AbortController();
  const tuned = await tuneKernels(told.only ?? kernels, profile, {
    budgetMs: told.budgetMs ?? 60_000,
    earlier: told.earlier ?? {},
    signal: stop.signal,
    onVariant: () => {},
    onKernel: async () => {},
    open: async (_: ScheduledDispatch, kernel): Promise<Trial | string> => {
      const [problem] = problemsOf(kernel, profile);
      const variant = problem!.chosen;
      opened.push(variant);
      if (opened.length === told.stopAfter) stop.abort();
      const refusal = told.refused?.(variant);
      if (refusal !== undefined) return refusal;
      open += 1;
      return {
        results: async () => [Float32Array.of(1, told.wrong?.(variant) === undefined ? 2 : 3)],
        time: async (repeat) => 0.1 + repeat * told.ms(variant),
        close: () => {
          open -= 1;
        },
      };
    },
  });
  return { tuned, opened, open };
}

const [largest] = kernels;
if (largest === undefined) throw new Error("there are kernels");

describe("the kernels of a step", () => {
  test("those with most to do come first, each with its share", () => {
    expect(kernels.map(({ key }) => key.replace(/ #.*/, ""))).toEqual([
      "matmul 1 x 64 x 256 x 64",
      "matmul 1 x 64 x 64 x 32",
    ]);
    expect(kernels[0]!.share + kernels[1]!.share).toBeCloseTo(1, 12);
    expect(kernels[0]!.share).toBeGreaterThan(0.8);
    for (const { chosen, others, dispatches } of kernels) {
      expect(others).not.toContain(chosen);
      expect(dispatches).toBe(1);
    }
  });

  test("times say what comes first where they were measured; an entry that runs more often counts so often", () => {
    const of = (ms: readonly number[]) => kernelsToTune([{ schedule: twoMatmuls, times: 1, ms }], profile);
    expect(of([3, 1]).map(({ share }) => share)).toEqual([0.75, 0.25]);
    expect(of([3, 1])[0]!.key).toContain("64 x 64 x 32");
    const twice = kernelsToTune(
      [
        { schedule: twoMatmuls, times: 3, ms: [1, 1] },
        { schedule: twoMatmuls, times: 1, ms: [1, 5] },
      ],
      profile,
    );
    expect(twice.map(({ share, dispatches }) => [share, dispatches])).toEqual([
      [8 / 12, 4],
      [4 / 12, 4],
    ]);
  });
});

describe("the search", () => {
  test("keeps the fastest of all variants, with what it takes of the time, and closes every trial", async () => {
    const best = largest.others[7]!;
    const fast = largest.others[2]!;
    const ms = (variant: string) => (variant === best ? 2 : variant === fast ? 3 : 4);
    const { tuned, open } = await tuneAs({ ms, only: [largest] });
    expect(tuned).toHaveLength(1);
    expect(tuned[0]).toMatchObject({
      variant: best,
      tried: largest.others.length,
      rejected: [],
      undecided: [],
    });
    expect(tuned[0]!.ratio!.mean).toBeCloseTo(0.5, 1);
    expect(tuned[0]!.dispatchMs).toBeCloseTo(4, 0);
    expect(open).toBe(0);
  });

  test("keeps the cost model's where nothing is clearly faster", async () => {
    const ms = (variant: string) => (variant === largest.chosen ? 4 : 3.95);
    const { tuned, open } = await tuneAs({ ms, only: [largest] });
    expect(tuned[0]).toMatchObject({ variant: largest.chosen, ratio: undefined });
    expect(open).toBe(0);
  });

  test("never keeps a variant whose results differ, however fast, and says so", async () => {
    const wrong = largest.others[3]!;
    const { tuned, open } = await tuneAs({
      ms: (variant) => (variant === wrong ? 0.1 : 4),
      wrong: (variant) => (variant === wrong ? "wrong" : undefined),
      only: [largest],
    });
    expect(tuned[0]).toMatchObject({
      variant: largest.chosen,
      ratio: undefined,
      tried: largest.others.length - 1,
      rejected: [
        { variant: wrong, reason: expect.stringContaining("results differ from those of the cost model's") },
      ],
    });
    expect(open).toBe(0);
  });

  test("goes on where the device refuses a variant", async () => {
    const refused = largest.others[0]!;
    const fast = largest.others[1]!;
    const { tuned } = await tuneAs({
      ms: (variant) => (variant === fast ? 1 : 4),
      refused: (variant) => (variant === refused ? "too many registers" : undefined),
      only: [largest],
    });
    expect(tuned[0]).toMatchObject({
      variant: fast,
      rejected: [{ variant: refused, reason: "too many registers" }],
    });
  });

  test("tries what won before first", async () => {
    const won = largest.others.at(-1)!;
    const { opened } = await tuneAs({ ms: () => 4, earlier: { [largest.key]: won }, only: [largest] });
    expect(opened.slice(0, 2)).toEqual([largest.chosen, won]);
    expect(opened).toHaveLength(1 + largest.others.length);
  });

  test("Ctrl-C keeps what has won by then", async () => {
    const fast = largest.others[0]!;
    const ms = (variant: string) => (variant === fast ? 1 : variant === largest.chosen ? 4 : 1.5);
    const { tuned, opened, open } = await tuneAs({ ms, stopAfter: 3 });
    expect(opened).toHaveLength(3);
    expect(tuned).toHaveLength(1);
    expect(tuned[0]).toMatchObject({ variant: fast, undecided: [largest.others[1]] });
    expect(open).toBe(0);
  });

  test("measures nothing without time, and leaves out kernels that no time could repay", async () => {
    expect((await tuneAs({ ms: () => 4, budgetMs: 0 })).opened).toEqual([]);
    const small = { ...kernels[1]!, share: 0.001 };
    expect((await tuneAs({ ms: () => 4, only: [small] })).opened).toEqual([]);
  });
});
