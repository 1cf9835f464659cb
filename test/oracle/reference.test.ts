import { describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import { optimize } from "../../compiler/optimize/index.ts";
import { analyze } from "../../compiler/semantics/index.ts";
import { compareWithOracle, relativeError } from "./comparison.ts";
import { readFixture } from "./fixture.ts";
import { referenceRun } from "./reference-run.ts";
import { need, record } from "./runs.ts";
import { oracleSpec } from "./spec.ts";

/**
 * The language, autodiff, training and optimize against JAX, with the graphs evaluated in float64: no kernel takes part.
 *
 * The fixture's tensors are float32, so half a unit in the last place, 6e-8, is as near as one can come. Its losses are
 * float64; what is left is the order of sums, grown by ten steps of Adam (seen: 1e-10).
 */
const tolerance = { tensor: 1e-6, loss: 1e-8 };

const fixtures = { d2l: await readFixture("bert-d2l"), original: await readFixture("bert-original") };
/** One group of parameters, and several. */
const bufferBytes = [2 ** 27, 40_000];

describe.each(["d2l", "original"] as const)("%s in float64", (name) => {
  const { root, load, library } = oracleSpec(name);
  const { model, diagnostics, sources } = analyze(root, { loadFile: load, library });
  if (model === undefined) throw new Error(renderDiagnostics(diagnostics, sources));
  const models = { training: elaborate(model, "train"), evaluation: elaborate(model, "evaluate") };
  const fixture = fixtures[name];

  describe.each(bufferBytes)("in buffers of %i bytes", (bytes) => {
    const run = () =>
      referenceRun(models, model.recipe, fixture, { maxBufferBytes: bytes, rewrite: (graph) => graph });
    compareWithOracle(fixture, tolerance, () => record(run(), fixture));
  });
  describe("optimized", () => {
    const run = () =>
      referenceRun(models, model.recipe, fixture, { maxBufferBytes: 2 ** 27, rewrite: optimize });
    compareWithOracle(fixture, tolerance, () => record(run(), fixture));
  });

  test("a small mistake is seen: query and key of one block exchanged", async () => {
    const [query, key] = ["query", "key"].map((part) => `encoder.blocks.1.attention.${part}.weight`);
    const parameters = new Map(fixture.parameters);
    parameters.set(need(query, "query"), need(fixture.parameters.get(need(key, "key")), "key"));
    parameters.set(need(key, "key"), need(fixture.parameters.get(need(query, "query")), "query"));
    const options = { maxBufferBytes: 2 ** 27, rewrite: optimize };
    const run = referenceRun(models, model.recipe, { ...fixture, parameters }, options);
    const { encoded, objective } = await run.evaluate();
    // Far beyond the 1e-4 that the device is given.
    expect(relativeError(encoded, fixture.encoded.data)).toBeGreaterThan(1e-2);
    expect(Math.abs(objective / need(fixture.steps[0], "first step").total - 1)).toBeGreaterThan(1e-3);
  });
});
