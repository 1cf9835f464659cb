import "core-js/actual/iterator/index.js"; // jax-js uses iterator helpers, which Node has from version 22 on
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import type { Framework, Training } from "./framework.ts";
import { packageVersion } from "./package-version.ts";
import type { SharedGpu } from "./shared-gpu.ts";
import { adam, type Configuration, type PretrainingBatch, type TrainingTask } from "./training-task.ts";

/*
 * The model as a user of jax-js would write it: functions of a flat tree of parameters, `nn` where it has the layer, and one
 * `jit` around loss, gradients and Adam. Every function takes ownership of its arguments, as jax-js asks; `.ref` keeps one.
 */

type Parameters = { [name: string]: np.Array };
type Batch = { [K in keyof PretrainingBatch]: np.Array };
type AdamState = { first: Parameters; second: Parameters; count: np.Array };

export async function openJaxJs(gpu: SharedGpu): Promise<Framework> {
  const { device, counts } = await gpu.opening(true, async () => {
    if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js did not open its WebGPU device");
    defaultDevice("webgpu");
  });
  return {
    name: "jax-js",
    title: `jax-js ${packageVersion("@jax-js/jax")}`,
    device,
    counts,
    aheadMs: 0,
    prepare: async (task) => trainWithJaxJs(task),
  };
}

/** Model and optimizer on jax-js's default device. */
export function trainWithJaxJs({ configuration, weights }: TrainingTask): Training {
  let parameters: Parameters = Object.fromEntries(
    [...weights].map(([name, { data, shape }]) => [name, np.array(data, { shape: [...shape] })]),
  );
  let state: AdamState = {
    first: zerosLike(parameters),
    second: zerosLike(parameters),
    count: np.array(0, { dtype: np.float32 }),
  };
  const trainStep = jit((current: Parameters, moments: AdamState, batch: Batch) => {
    const [loss, gradients] = valueAndGrad((varied: Parameters) =>
      pretrainingLoss(varied, batch, configuration),
    )(tree.ref(current));
    const [updated, advanced] = adamStep(current, gradients, moments, configuration.learning_rate);
    return { loss, updated, advanced };
  });
  return {
    async step(batch) {
      const { loss, updated, advanced } = trainStep(parameters, state, upload(batch, configuration));
      parameters = updated;
      state = advanced;
      const [value] = await loss.data();
      return Number(value);
    },
  };
}

function upload(batch: PretrainingBatch, { batch: size, max_len, predictions }: Configuration): Batch {
  return {
    tokens: np.array(batch.tokens, { shape: [size, max_len] }),
    segments: np.array(batch.segments, { shape: [size, max_len] }),
    valid: np.array(batch.valid, { shape: [size] }),
    positions: np.array(batch.positions, { shape: [size, predictions] }),
    labels: np.array(batch.labels, { shape: [size, predictions] }),
    weights: np.array(batch.weights, { shape: [size, predictions] }),
    next: np.array(batch.next, { shape: [size] }),
  };
}

const zerosLike = (parameters: Parameters): Parameters =>
  Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, np.zeros(value.shape)]));

/** mlm + nsp, f32[]. */
function pretrainingLoss(parameters: Parameters, batch: Batch, configuration: Configuration): np.Array {
  const { batch: size, hidden, layers, heads, max_len } = configuration;
  const take = (name: string): np.Array => {
    const parameter = parameters[name];
    if (parameter === undefined) throw new Error(`no parameter \`${name}\``);
    return parameter.ref;
  };
  const linear = (name: string, x: np.Array) =>
    np.matmul(x, take(`${name}.weight`)).add(take(`${name}.bias`));
  const layerNorm = (name: string, x: np.Array) =>
    nn
      .standardize(x, -1)
      .mul(take(`${name}.gamma`))
      .add(take(`${name}.beta`));
  const split = (x: np.Array) => x.reshape([size, max_len, heads, hidden / heads]);

  const attention = (name: string, x: np.Array) => {
    const mixed = nn.dotProductAttention(
      split(linear(`${name}.query`, x.ref)),
      split(linear(`${name}.key`, x.ref)),
      split(linear(`${name}.value`, x)),
      { keyValueSeqLengths: batch.valid.ref },
    );
    return linear(`${name}.output`, mixed.reshape([size, max_len, hidden]));
  };
  const block = (name: string, x: np.Array) => {
    const y = layerNorm(`${name}.attention_norm`, x.ref.add(attention(`${name}.attention`, x)));
    const inner = nn.relu(linear(`${name}.feed_forward.inner`, y.ref));
    return layerNorm(`${name}.output_norm`, y.add(linear(`${name}.feed_forward.outer`, inner)));
  };

  let encoded = np
    .take(take("encoder.token.weight"), batch.tokens.ref, 0)
    .add(np.take(take("encoder.segment.weight"), batch.segments.ref, 0))
    .add(take("encoder.position.weight")); // [B, T, H]
  for (let layer = 0; layer < layers; layer++) encoded = block(`encoder.blocks.${layer}`, encoded);

  const slots = oneHot(batch.positions.ref, max_len); // [B, P, T]
  const picked = np.matmul(slots, encoded.ref); // [B, P, H]
  const transformed = layerNorm("masked_lm.norm", nn.relu(linear("masked_lm.dense", picked)));
  const entropy = crossEntropy(linear("masked_lm.decoder", transformed), batch.labels.ref); // [B, P]
  const mlm = entropy.mul(batch.weights.ref).sum().div(batch.weights.ref.sum().add(1e-8));

  const pooled = np.tanh(linear("pooler.dense", encoded.slice([], 0))); // [B, H]
  const nsp = crossEntropy(linear("next_sentence.classifier", pooled), batch.next.ref).mean();
  tree.dispose(parameters);
  return mlm.add(nsp);
}

/** -log softmax(logits)[label]. logits f32[..., n], labels i32[...] */
function crossEntropy(logits: np.Array, labels: np.Array): np.Array {
  const classes = logits.shape.at(-1) ?? 0;
  return nn.logSoftmax(logits, -1).mul(oneHot(labels, classes)).sum(-1).neg();
}

// `nn.oneHot` reads rows of a unit matrix of n x n; a comparison fuses into its reader.
const oneHot = (x: np.Array, classes: number): np.Array =>
  np.expandDims(x, -1).equal(np.arange(classes)).astype(np.float32);

/** Kingma and Ba 2015, algorithm 1, with bias correction as Optax has it. */
function adamStep(
  parameters: Parameters,
  gradients: Parameters,
  state: AdamState,
  learningRate: number,
): [Parameters, AdamState] {
  const { beta1, beta2, epsilon } = adam;
  const count = state.count.add(1);
  const correction1 = np.power(beta1, count.ref).neg().add(1);
  const correction2 = np.power(beta2, count.ref).neg().add(1);
  const updated: Parameters = {};
  const first: Parameters = {};
  const second: Parameters = {};
  for (const name of Object.keys(parameters)) {
    const parameter = parameters[name];
    const gradient = gradients[name];
    const before1 = state.first[name];
    const before2 = state.second[name];
    if (parameter === undefined || gradient === undefined || before1 === undefined || before2 === undefined) {
      throw new Error(`parameter, gradient and moments differ in \`${name}\``);
    }
    const moment1 = before1.mul(beta1).add(gradient.ref.mul(1 - beta1));
    const moment2 = before2.mul(beta2).add(np.square(gradient).mul(1 - beta2));
    const deviation = np.sqrt(moment2.ref.div(correction2.ref)).add(epsilon);
    updated[name] = parameter.sub(moment1.ref.div(correction1.ref).div(deviation).mul(learningRate));
    first[name] = moment1;
    second[name] = moment2;
  }
  correction1.dispose();
  correction2.dispose();
  return [updated, { first, second, count }];
}
