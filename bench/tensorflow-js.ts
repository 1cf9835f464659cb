import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import type { Framework, Training } from "./framework.ts";
import { packageVersion } from "./package-version.ts";
import type { SharedGpu } from "./shared-gpu.ts";
import { adam, type Configuration, type PretrainingBatch, type TrainingTask } from "./training-task.ts";

/*
 * The model as a user of TensorFlow.js would write it with its core: `tf.variable` a parameter, `tf.fused.matMul` for dense
 * layers, the losses and Adam that come with it, `minimize` for a step.
 */

// The core's bundle for Node leaves the gradients out, and the file that has them is written for bundlers: tsx loads it.
createRequire(import.meta.url)("@tensorflow/tfjs-core/dist/register_all_gradients.js");

type Parameters = ReadonlyMap<string, tf.Variable>;
type Batch = { readonly [K in keyof PretrainingBatch]: tf.Tensor };

export async function openTensorFlowJs(gpu: SharedGpu): Promise<Framework> {
  const { device, counts } = await gpu.opening(true, async () => {
    // The backend registers itself only where `navigator.gpu` is there when it is loaded.
    await import("@tensorflow/tfjs-backend-webgpu");
    if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js did not open its WebGPU device");
    await tf.ready();
  });
  return {
    name: "tensorflow-js",
    title: `TensorFlow.js ${packageVersion("@tensorflow/tfjs-core")}`,
    device,
    counts,
    aheadMs: 0,
    prepare: async (task) => trainWithTensorFlowJs(task),
  };
}

/** Model and optimizer on TensorFlow.js's current backend. */
export function trainWithTensorFlowJs({ configuration, weights }: TrainingTask): Training {
  const parameters: Parameters = new Map(
    [...weights].map(([name, { data, shape }]) => [
      name,
      tf.tidy(() => tf.variable(tf.tensor(data, [...shape]))),
    ]),
  );
  const { beta1, beta2, epsilon } = adam;
  const optimizer = tf.train.adam(configuration.learning_rate, beta1, beta2, epsilon);
  return {
    async step(batch) {
      const loss = tf.tidy(() => {
        const fields = upload(batch, configuration);
        const total = optimizer.minimize(() => pretrainingLoss(parameters, fields, configuration), true);
        if (total === null) throw new Error("`minimize` returned no loss");
        return total;
      });
      const [value] = await loss.data();
      loss.dispose();
      return value ?? Number.NaN;
    },
  };
}

function upload(batch: PretrainingBatch, { batch: size, max_len, predictions }: Configuration): Batch {
  return {
    tokens: tf.tensor2d(batch.tokens, [size, max_len], "int32"),
    segments: tf.tensor2d(batch.segments, [size, max_len], "int32"),
    valid: tf.tensor1d(batch.valid, "int32"),
    positions: tf.tensor2d(batch.positions, [size, predictions], "int32"),
    labels: tf.tensor1d(batch.labels, "int32"),
    weights: tf.tensor1d(batch.weights),
    next: tf.tensor1d(batch.next, "int32"),
  };
}

/** mlm + nsp, f32[]. */
function pretrainingLoss(parameters: Parameters, batch: Batch, configuration: Configuration): tf.Scalar {
  const { batch: size, vocab, hidden, layers, heads, max_len, predictions } = configuration;
  const parameter = (name: string): tf.Variable => {
    const found = parameters.get(name);
    if (found === undefined) throw new Error(`no parameter \`${name}\``);
    return found;
  };
  // x [rows, in]
  const linear = (name: string, x: tf.Tensor): tf.Tensor =>
    tf.fused.matMul({ a: x, b: parameter(`${name}.weight`), bias: parameter(`${name}.bias`) });
  const layerNorm = (name: string, x: tf.Tensor): tf.Tensor => {
    const { mean, variance } = tf.moments(x, -1, true);
    const normalized = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(normalized, parameter(`${name}.gamma`)), parameter(`${name}.beta`));
  };

  // 0 where a key is seen, -1e6 where it is padding. [B, 1, 1, T]
  const isPadding = tf.greaterEqual(tf.range(0, max_len, 1, "int32"), tf.reshape(batch.valid, [size, 1]));
  const bias = tf.reshape(tf.mul(tf.cast(isPadding, "float32"), -1e6), [size, 1, 1, max_len]);
  const attention = (name: string, x: tf.Tensor): tf.Tensor => {
    const split = (y: tf.Tensor) =>
      tf.transpose(tf.reshape(y, [size, max_len, heads, hidden / heads]), [0, 2, 1, 3]);
    const [q, k, v] = [
      split(linear(`${name}.query`, x)),
      split(linear(`${name}.key`, x)),
      split(linear(`${name}.value`, x)),
    ];
    const scores = tf.div(tf.matMul(q, k, false, true), Math.sqrt(hidden / heads)); // [B, A, T, T]
    const mixed = tf.matMul(tf.softmax(tf.add(scores, bias)), v);
    const merged = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [size * max_len, hidden]);
    return linear(`${name}.output`, merged);
  };
  const block = (name: string, x: tf.Tensor): tf.Tensor => {
    const y = layerNorm(`${name}.attention_norm`, tf.add(x, attention(`${name}.attention`, x)));
    const inner = tf.relu(linear(`${name}.feed_forward.inner`, y));
    return layerNorm(`${name}.output_norm`, tf.add(y, linear(`${name}.feed_forward.outer`, inner)));
  };

  const embedded = tf.add(
    tf.add(
      tf.gather(parameter("encoder.token.weight"), tf.cast(batch.tokens, "int32")),
      tf.gather(parameter("encoder.segment.weight"), tf.cast(batch.segments, "int32")),
    ),
    parameter("encoder.position.weight"),
  );
  let encoded: tf.Tensor = tf.reshape(embedded, [size * max_len, hidden]);
  for (let layer = 0; layer < layers; layer++) encoded = block(`encoder.blocks.${layer}`, encoded);

  const firsts = tf.range(0, size * max_len, max_len, "int32"); // row of each example's first token
  const rows = tf.reshape(tf.add(batch.positions, tf.reshape(firsts, [size, 1])), [size * predictions]);
  const picked = tf.gather(encoded, tf.cast(rows, "int32"));
  const transformed = layerNorm("masked_lm.norm", tf.relu(linear("masked_lm.dense", picked)));
  const logits = linear("masked_lm.decoder", transformed); // [B * P, V]
  const labels = tf.oneHot(tf.cast(batch.labels, "int32"), vocab);
  // Sums over the slots in use and divides by their number.
  const mlm: tf.Tensor = tf.losses.softmaxCrossEntropy(labels, logits, batch.weights);

  const pooled = tf.tanh(linear("pooler.dense", tf.gather(encoded, firsts)));
  const next = tf.oneHot(tf.cast(batch.next, "int32"), 2);
  const nsp: tf.Tensor = tf.losses.softmaxCrossEntropy(next, linear("next_sentence.classifier", pooled));
  return tf.add(mlm, nsp);
}
