import { evaluate, type Graph, type Tensor, tensor, zeros } from "../../compiler/graph/index.ts";
import type { StateLayout } from "../../compiler/training/index.ts";
import type { Values } from "./linear-model.ts";

/** Runs step graphs with the reference evaluator, as the runtime will: states in, outputs and new states out. */
export class StepRunner {
  readonly states = new Map<string, Tensor>();

  constructor(
    readonly layout: StateLayout,
    values: Values,
    seed: number,
  ) {
    for (const state of layout.states) this.states.set(state.name, zeros(state));
    this.states.set("seed", tensor({ dtype: "u32", shape: [1] }, [seed]));
    for (const [name, elements] of Object.entries(values)) {
      const { buffer, offset } = this.#place(name);
      this.#state(buffer).data.set(elements, offset);
    }
  }

  run(graph: Graph, inputs: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Tensor> {
    const { outputs, updates } = evaluate(graph, { inputs, states: this.states });
    for (const [name, value] of updates) {
      const old = this.#state(name);
      if (old.dtype !== value.dtype || old.data.length !== value.data.length)
        throw new Error(`the update of ${name} has another type`);
      this.states.set(name, value);
    }
    return outputs;
  }

  /** A parameter's value, or its optimizer state in `slot`. */
  read(name: string, slot?: string): readonly number[] {
    const { buffer, slots, offset, elementCount } = this.#place(name);
    const state = slot === undefined ? buffer : slots[slot];
    if (state === undefined) throw new Error(`${name} has no slot ${slot}`);
    return [...this.#state(state).data.slice(offset, offset + elementCount)];
  }

  #place(name: string) {
    const place = this.layout.parameters.find((p) => p.name === name);
    if (place === undefined) throw new Error(`no parameter ${name}`);
    return place;
  }

  #state(name: string): Tensor {
    const state = this.states.get(name);
    if (state === undefined) throw new Error(`no state ${name}`);
    return state;
  }
}
