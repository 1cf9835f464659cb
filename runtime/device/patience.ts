import type { KilnDevice } from "./open.ts";

/** Milliseconds to rest between two looks at work of the software device. */
const restMs = 1;

/**
 * Awaits a promise that the device will settle, leaving the processor to the device.
 *
 * In Node, Dawn turns the event loop without pause while a promise of its own is pending, which costs one core. On the
 * software device that core is the device itself, so there the thread rests in each turn of the loop. Measured on 2
 * cores that others use too: a kernel of 0.92 s takes 2.05 s without rests and 0.94 s with them; compiling 79 pipelines
 * takes 15.4 s of processor time without and 7.7 s with them.
 */
export async function patiently<T>(kiln: Pick<KilnDevice, "isSoftware">, work: Promise<T>): Promise<T> {
  // Browsers neither need the rest nor allow it.
  if (!kiln.isSoftware || typeof setImmediate !== "function") return work;
  let isPending = true;
  const settle = () => {
    isPending = false;
  };
  work.then(settle, settle);
  // Nobody ever notifies this word: waiting for it is a sleep.
  const word = new Int32Array(new SharedArrayBuffer(4));
  // What is quickly done shall not wait.
  const patientFrom = performance.now() + restMs;
  while (isPending) {
    if (performance.now() > patientFrom) Atomics.wait(word, 0, 0, restMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return work;
}
