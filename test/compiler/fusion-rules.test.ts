import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CompileOptions, CompileResult, Program } from "../../compiler/index.ts";
import { type FusionRule, fusionRuleNames, fusionRules } from "../../compiler/schedule/index.ts";
import { openBatches } from "../../runtime/data/index.ts";
import { type KilnDevice, openDevice } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/index.ts";
import { compileSpec } from "./specs.ts";

/** With a vocabulary of more than a chunk, and rows enough to be summed down their columns in blocks. */
const small = { batch: "20", vocab: "3200", layers: "2", hidden: "16", heads: "2", ffn: "32" };

function compiled(options: Partial<CompileOptions>): CompileResult & { readonly program: Program } {
  return compileSpec("models/bert-tiny.bert", {
    settings: small,
    entries: ["train"],
    verify: true,
    ...options,
  });
}

function stepsOf(program: Program, kind: "dispatch" | "copy"): number {
  return program.entries.train!.steps.filter((step) => step.kind === kind).length;
}

function rulesUsed(result: CompileResult): ReadonlySet<string> {
  const schedule = result.stages!.schedules.get("train")!;
  return new Set(schedule.steps.flatMap((step) => (step.kind === "dispatch" ? step.kernel.rules : [])));
}

describe("a fusion rule that is switched off", () => {
  let kiln: KilnDevice;
  let expected: readonly number[];
  const fused = compiled({});
  beforeAll(async () => {
    kiln = await openDevice({ prefer: "software" });
    expected = await lossesOf(fused.program);
  });
  afterAll(() => kiln.close());

  async function lossesOf(program: Program): Promise<readonly number[]> {
    const batches = await openBatches(program.data, { split: "train", seed: 5 });
    const trainer = await createTrainer(program, kiln, { seed: 5, batches });
    try {
      const losses: number[] = [];
      for await (const report of trainer.steps(3)) losses.push(...Object.values(report.losses));
      return losses;
    } finally {
      await trainer.dispose();
      await batches.close();
    }
  }

  test("each has a name and says what it does", () => {
    expect(fusionRuleNames.length).toBeGreaterThanOrEqual(8);
    for (const rule of fusionRuleNames) expect(fusionRules[rule]).toMatch(/^[a-z].{20,}[^.]$/);
  });

  test.each(fusionRuleNames)(
    "%s: is gone from the plan, which is another and computes the same",
    async (rule: FusionRule) => {
      expect(rulesUsed(fused)).toContain(rule);
      const without = compiled({ without: [rule] });
      expect(rulesUsed(without)).not.toContain(rule);
      expect(without.program.hash).not.toBe(fused.program.hash);
      const losses = await lossesOf(without.program);
      expect(losses.length).toBe(6);
      // Sums run in another order: a few ULP a step, which three steps of Adam hardly widen.
      losses.forEach((loss, i) => {
        expect(Math.abs(loss - expected[i]!) / expected[i]!).toBeLessThan(1e-5);
      });
    },
  );

  test("all of them together leave one op a kernel, and copies for what is updated", () => {
    const none = compiled({ without: fusionRuleNames });
    const unfused = compiled({ fuse: false });
    expect(rulesUsed(none)).toEqual(new Set());
    expect(rulesUsed(unfused)).toEqual(new Set(["in_place"]));
    expect(stepsOf(none.program, "dispatch")).toBe(stepsOf(unfused.program, "dispatch"));
    expect(stepsOf(none.program, "copy")).toBeGreaterThan(stepsOf(unfused.program, "copy"));
  });
});
