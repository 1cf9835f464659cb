import type {
  OnnxAttribute,
  OnnxConstant,
  OnnxElement,
  OnnxNode,
  OnnxParameter,
  OnnxValue,
} from "./model.ts";
import { constantOf, type Size, sameSize } from "./size.ts";

/** A tensor of the graph being built. */
export interface Operand {
  readonly name: string;
  readonly element: OnnxElement;
  readonly shape: readonly Size[];
}

/** Where the size of a variable is read when the model runs. */
export interface SizeSource {
  readonly input: string;
  readonly axis: number;
}

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** Adds nodes to an ONNX graph. Equal nodes and constants are one. */
export class OnnxBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #constants = new Map<string, OnnxConstant>();
  readonly #shared = new Map<string, string>();
  readonly #names = new Set<string>();
  readonly #sources: readonly (SizeSource | undefined)[];
  /** Variables whose size was asked for and is nowhere to be read. */
  readonly missing = new Set<number>();
  #scope = "";

  /**
   * @param sources of every variable
   * @param reserved names of inputs, outputs and parameters
   */
  constructor(sources: readonly (SizeSource | undefined)[], reserved: Iterable<string>) {
    this.#sources = sources;
    for (const name of reserved) this.#names.add(name);
  }

  /** Nodes added by `body` are named after the place in the spec. */
  within<T>(scope: string, body: () => T): T {
    const before = this.#scope;
    this.#scope = scope;
    try {
      return body();
    } finally {
      this.#scope = before;
    }
  }

  /** @returns the name of the node's only result */
  node(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    const key = JSON.stringify([op, inputs, attributes]);
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const output = this.#fresh(`${this.#scope}/${op}`);
    this.#nodes.push({ op, name: output, inputs, outputs: [output], attributes });
    this.#shared.set(key, output);
    return output;
  }

  /** Gives a value a name of the model's interface. */
  named(name: string, value: string, element: OnnxElement, from: OnnxElement): void {
    const op = element === from ? "Identity" : "Cast";
    const attributes: Attributes = element === from ? {} : { to: castTarget(element) };
    this.#nodes.push({ op, name: `${name}/${op}`, inputs: [value], outputs: [name], attributes });
  }

  cast(value: string, to: OnnxElement): string {
    return this.node("Cast", [value], { to: castTarget(to) });
  }

  constant(element: OnnxElement, shape: readonly number[], values: readonly number[]): string {
    const key = JSON.stringify([element, shape, values.map((v) => (Object.is(v, -0) ? "-0" : String(v)))]);
    const known = this.#constants.get(key);
    if (known !== undefined) return known.name;
    const shown = values.length === 1 ? String(values[0]) : `${values.length}`;
    const name = this.#fresh(`constant/${element}_${shown}`);
    this.#constants.set(key, { name, element, shape, values });
    return name;
  }

  scalar(element: OnnxElement, value: number): string {
    return this.constant(element, [], [value]);
  }

  integers(values: readonly number[]): string {
    return this.constant("int64", [values.length], values);
  }

  /** int64 [1]: a size, computed from the inputs' shapes where it varies. */
  size(size: Size): string {
    const constant = constantOf(size);
    if (constant !== undefined) return this.integers([constant]);
    const scope = "sizes";
    return this.within(scope, () => {
      const terms = size.map(({ coefficient, powers }) => {
        const factors = powers.flatMap((power, v) => new Array<number>(power).fill(v));
        const variables = factors.map((v) => this.#variable(v));
        const all =
          coefficient === 1 && variables.length > 0
            ? variables
            : [this.integers([coefficient]), ...variables];
        return all.reduce((a, b) => this.node("Mul", [a, b]));
      });
      return terms.reduce((a, b) => this.node("Add", [a, b]));
    });
  }

  /** int64 [n] */
  sizes(sizes: readonly Size[]): string {
    const constants = sizes.map(constantOf);
    if (constants.every((c) => c !== undefined)) return this.integers(constants);
    const parts = sizes.map((size) => this.size(size));
    return parts.length === 1
      ? (parts[0] ?? "")
      : this.within("sizes", () => this.node("Concat", parts, { axis: { kind: "int", value: 0 } }));
  }

  /** A tensor with the same elements in another shape. */
  reshape(x: Operand, shape: readonly Size[]): Operand {
    const same =
      shape.length === x.shape.length && shape.every((size, axis) => sameSize(size, x.shape[axis] ?? []));
    if (same) return x;
    return { ...x, shape, name: this.node("Reshape", [x.name, this.#target(x.shape, shape)]) };
  }

  transpose(x: Operand, perm: readonly number[]): Operand {
    if (perm.every((from, to) => from === to)) return x;
    const name = this.node("Transpose", [x.name], { perm: { kind: "ints", value: perm } });
    return { ...x, name, shape: perm.map((axis) => x.shape[axis] ?? []) };
  }

  /** Without the nodes, constants and parameters that no output needs. */
  build(
    inputs: readonly OnnxValue[],
    outputs: readonly OnnxValue[],
    parameters: readonly OnnxParameter[],
  ): {
    readonly nodes: readonly OnnxNode[];
    readonly inputs: readonly OnnxValue[];
    readonly outputs: readonly OnnxValue[];
    readonly constants: readonly OnnxConstant[];
    readonly parameters: readonly OnnxParameter[];
  } {
    const needed = new Set(outputs.map((output) => output.name));
    const nodes = this.#nodes.toReversed().filter((node) => {
      if (!node.outputs.some((name) => needed.has(name))) return false;
      for (const input of node.inputs) needed.add(input);
      return true;
    });
    return {
      nodes: nodes.reverse(),
      inputs: inputs.filter((input) => needed.has(input.name)),
      outputs,
      constants: [...this.#constants.values()].filter((constant) => needed.has(constant.name)),
      parameters: parameters.filter((parameter) => needed.has(parameter.name)),
    };
  }

  /**
   * The shape operand of a Reshape. 0 takes an axis over and -1 is what is left, so most shapes are constants: runtimes
   * recognize attention by that.
   */
  #target(from: readonly Size[], to: readonly Size[]): string {
    const plain = to.map((size, axis) => {
      const constant = constantOf(size);
      if (constant !== undefined) return constant;
      return axis < from.length && sameSize(size, from[axis] ?? []) ? 0 : undefined;
    });
    const open = plain.filter((entry) => entry === undefined).length;
    return open <= 1 ? this.integers(plain.map((entry) => entry ?? -1)) : this.sizes(to);
  }

  #variable(v: number): string {
    const source = this.#sources[v];
    if (source === undefined) {
      this.missing.add(v);
      return this.integers([1]);
    }
    return this.node("Shape", [source.input], {
      start: { kind: "int", value: source.axis },
      end: { kind: "int", value: source.axis + 1 },
    });
  }

  #fresh(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#names.has(name); i++) name = `${wanted}_${i}`;
    this.#names.add(name);
    return name;
  }
}

/** The numbers of `TensorProto.DataType`. */
const elementCode: Readonly<Record<OnnxElement, number>> = { float: 1, int32: 6, int64: 7, bool: 9 };

function castTarget(element: OnnxElement): OnnxAttribute {
  return { kind: "int", value: elementCode[element] };
}
