import { firstDifference, type Node } from "../../compiler/graph/index.ts";
import { inferenceGraph, type ModelSummary } from "../../compiler/index.ts";
import { type HeadedConfig, specText } from "../../runtime/huggingface/index.ts";
import { Failure } from "../failure.ts";
import { diskLoader, type SourceLoader } from "../spec.ts";

/** A model of a spec, as `check` takes it. */
export interface SpecModel {
  readonly root: string;
  readonly loader: SourceLoader;
  readonly settings: Readonly<Record<string, string>>;
  readonly summary: ModelSummary;
}

/**
 * Makes sure that a model computes what the BERT of transformers with that config does. `import` writes a spec for such a config,
 * which is held against transformers; here the graph of that spec is held against the model's, without dropout, on batches of one size.
 * What the classes of transformers give (vectors, pooled vectors, logits) must be nodes of the model's; what it makes of them, its losses
 * for instance, is its own affair.
 * @throws Failure naming the first place where the two part
 */
export function requireSameModel(model: SpecModel, config: HeadedConfig): void {
  const reference = "reference.bert";
  const text = specText(config, "what the config describes", "words");
  const given = inferenceGraph(model.root, { ...model.loader, settings: model.settings });
  const wanted = inferenceGraph(reference, {
    load: (path) => (path === reference ? text : undefined),
    library: diskLoader.library,
    data: batchOf(model),
  });
  if (given.graph === undefined || wanted.graph === undefined || wanted.summary === undefined)
    throw new Error(`no graph of ${given.graph === undefined ? model.root : "the reference"}`);
  const { outputs, heads } = wanted.summary;
  const names = [...outputs.map((name) => `output.${name}`), ...heads.map((name) => `head.${name}`)];
  const difference = firstDifference(wanted.graph, given.graph, names);
  if (difference === undefined) return;
  const { output } = difference;
  const value = output.replace(/^(\w+)\.(\w+)$/, "$1 `$2`");
  throw new Failure(1, {
    message:
      difference.given === undefined
        ? `${model.root} computes nothing equal to the ${value} of a ${config.architecture}: BERT has ${describe(difference.wanted)}`
        : `${model.root} computes another ${value} than a ${config.architecture} of transformers: it has ${describe(difference.given)}, where BERT has ${describe(difference.wanted)}`,
    file: model.root,
    hint: "the models of lib/bert.bert with `embedding_norm: true` are exported; train the model anew if its layers must change",
  });
}

/** The batch of the model, so that both graphs have the same sizes. */
function batchOf({ summary, root }: SpecModel): Readonly<Record<string, number>> {
  const shapeOf = (name: string) => summary.inputs.find((input) => input.name === name)?.shape;
  const [batch, length] = shapeOf("tokens") ?? [];
  if (batch === undefined || length === undefined) {
    throw new Failure(1, {
      message: `\`${summary.name}\` of ${root} takes no \`tokens\`: it is no BERT`,
      file: root,
    });
  }
  const predictions = shapeOf("positions")?.[1];
  return { batch, max_len: length, ...(predictions !== undefined && { predictions }) };
}

function describe({ op, attrs, origin }: Node): string {
  const values = Object.entries(attrs).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? `[${value.join(", ")}]` : value}`,
  );
  const what = [op, ...values].join(" ");
  const place = origin.path === "" ? "" : ` in \`${origin.path}\``;
  return `\`${what}\`${place} (${origin.at})`;
}
