import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { gradients } from "../../compiler/autodiff/index.ts";
import { elaborate } from "../../compiler/elaborate/index.ts";
import {
  elementCount,
  type Graph,
  GraphBuilder,
  type Leaves,
  parse,
  print,
  type Tensor,
  tensor,
  verify,
} from "../../compiler/graph/index.ts";
import { analyze } from "../../compiler/semantics/index.ts";
import { libraryText } from "../../models/index.ts";
import { randomNumbers } from "../ops/draw.ts";
import { directionalDerivatives } from "./check-gradient.ts";

const origin = { path: "", at: "", label: "model", pass: "test" };

/** Two shipped specs without kinks (GELU, SiLU; the maxima of softmax take no gradient), as small as they go. */
const cases = [
  {
    spec: "bert-base.bert",
    settings: {
      vocab: "11",
      hidden: "8",
      layers: "2",
      heads: "2",
      ffn: "6",
      max_positions: "7",
      max_len: "5",
      batch: "2",
      predictions: "3",
      accumulate: "1",
    },
  },
  {
    spec: "gpt-small.bert",
    settings: {
      vocab: "11",
      hidden: "8",
      layers: "2",
      heads: "2",
      ffn: "6",
      max_len: "5",
      batch: "2",
      dropout: "0.2",
    },
  },
] as const;

/** The training-mode forward graph of a spec with the gradients of its objective by every parameter. */
function differentiated(spec: string, settings: Readonly<Record<string, string>>): Graph {
  const { model, diagnostics } = analyze(spec, {
    loadFile: (path) =>
      path === spec ? readFileSync(new URL(`../../models/${spec}`, import.meta.url), "utf8") : undefined,
    library: libraryText,
    settings,
  });
  if (model === undefined) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
  const { graph, parameters } = elaborate(model, "train");
  const b = new GraphBuilder(origin);
  const ids = b.import(graph);
  const objective = ids[graph.outputs.find(({ name }) => name === "objective")!.node]!;
  b.output("objective", objective);
  const wrt = parameters.map(({ name, shape }) => b.parameter(name, shape));
  gradients(b, objective, wrt).forEach((slope, index) => {
    b.output(`gradient.${parameters[index]!.name}`, slope);
  });
  return b.build();
}

function drawLeaves(graph: Graph): Leaves {
  const random = randomNumbers(1);
  const [inputs, parameters] = [new Map<string, Tensor>(), new Map<string, Tensor>()];
  for (const { op, attrs, type } of graph.nodes) {
    const draw = (one: () => number) => tensor(type, Array.from({ length: elementCount(type.shape) }, one));
    // Gains around 1, all else around 0, so that signals neither die nor saturate on their way.
    if (op === "parameter") {
      const center = /\.(gamma|gain)$/.test(attrs.name) ? 1 : 0;
      parameters.set(
        attrs.name,
        draw(() => center + random() - 0.5),
      );
    }
    // 0 and 1 are in range as index and label alike; of 5 tokens 4 are valid, so that attention has a choice.
    if (op === "input")
      inputs.set(
        attrs.name,
        draw(() => (type.dtype === "f32" ? 1 : attrs.name === "valid" ? 4 : Math.floor(2 * random()))),
      );
  }
  return { inputs, parameters, randomKey: (stream) => stream * 7919 };
}

describe.each(cases)("$spec", ({ spec, settings }) => {
  const graph = differentiated(spec, settings);
  const leaves = drawLeaves(graph);

  test("verifies, prints and parses", () => {
    verify(graph, "autodiff");
    expect(parse(print(graph, { origins: true }), origin)).toEqual(graph);
  });

  test("every backward node says which line of the spec it differentiates", () => {
    const backward = graph.nodes.filter(({ origin }) => origin.pass === "autodiff");
    expect(backward.length).toBeGreaterThan(100);
    for (const node of backward) expect(node.origin.at).toMatch(/\.bert:\d+:\d+$/);
  });

  test("the gradient of each parameter agrees with central differences", () => {
    for (const name of leaves.parameters!.keys()) {
      const { gradient, difference, size, tolerance } = directionalDerivatives(graph, leaves, [name], 1);
      expect(Math.abs(gradient - difference), name).toBeLessThanOrEqual(tolerance);
      // Softmax does not see what is added to all scores of a row, so a key's bias has no gradient; all else has one.
      if (name.endsWith("key.bias")) expect(size, name).toBeLessThan(1e-12);
      else expect(size, name).toBeGreaterThan(1e4 * tolerance);
    }
  });
});
