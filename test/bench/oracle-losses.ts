import { defaultDevice, init } from "@jax-js/jax";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { trainWithJaxJs } from "../../bench/jax-js.ts";
import { trainWithTensorFlowJs } from "../../bench/tensorflow-js.ts";
import { frameworkTask } from "./oracle-task.ts";

/*
 * Trains the oracle's model with jax-js and TensorFlow.js on the processor, where nothing has to be compiled, and prints their
 * losses step by step. A program of its own, run with tsx, as `npm run bench` is: TensorFlow.js's files need it.
 */
await init("wasm");
defaultDevice("wasm");
await tf.setBackend("cpu");

const { task, stepCount } = await frameworkTask();
const [batch] = task.batches;
if (batch === undefined) throw new Error("the task has a batch");
const losses: Record<string, number[]> = {};
for (const [name, training] of [
  ["jax-js", trainWithJaxJs(task)],
  ["tensorflow-js", trainWithTensorFlowJs(task)],
] as const) {
  const own: number[] = [];
  while (own.length < stepCount) own.push(await training.step(batch));
  losses[name] = own;
}
process.stdout.write(JSON.stringify(losses), () => process.exit(0));
