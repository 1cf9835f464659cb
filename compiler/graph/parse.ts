import { dtypes } from "./dtype.ts";
import { GraphError } from "./errors.ts";
import { isOpName, nodeOf } from "./node.ts";
import type { AttrsOf, DType, Graph, Node, NodeId, OpName, Origin, TensorType } from "./types.ts";

/** The attributes of one line, read by name and kind. */
interface Fields {
  readonly number: (name: string) => number;
  readonly numbers: (name: string) => readonly number[];
  readonly text: (name: string) => string;
  readonly dtype: (name: string) => DType;
}

const none = (): Readonly<Record<never, never>> => ({});
const axes = (f: Fields) => ({ axes: f.numbers("axes") });
const shape = (f: Fields) => ({ shape: f.numbers("shape") });

const readAttrs: { readonly [K in OpName]: (fields: Fields) => AttrsOf<K> } = {
  input: (f) => ({ name: f.text("name"), dtype: f.dtype("dtype"), shape: f.numbers("shape") }),
  parameter: (f) => ({ name: f.text("name"), shape: f.numbers("shape") }),
  state: (f) => ({ name: f.text("name"), dtype: f.dtype("dtype"), shape: f.numbers("shape") }),
  constant: (f) => ({ dtype: f.dtype("dtype"), value: f.number("value") }),
  iota: (f) => ({ shape: f.numbers("shape"), axis: f.number("axis") }),
  random_key: (f) => ({ stream: f.number("stream") }),
  neg: none,
  exp: none,
  log: none,
  sqrt: none,
  rsqrt: none,
  tanh: none,
  erf: none,
  abs: none,
  sin: none,
  cos: none,
  floor: none,
  round_f16: none,
  is_finite: none,
  not: none,
  add: none,
  sub: none,
  mul: none,
  div: none,
  max: none,
  min: none,
  pow: none,
  mod: none,
  lt: none,
  le: none,
  eq: none,
  and: none,
  or: none,
  select: none,
  cast: (f) => ({ dtype: f.dtype("dtype") }),
  stop_gradient: none,
  barrier: (f) => ({ number: f.number("number") }),
  uniform: shape,
  hash: none,
  reshape: shape,
  transpose: (f) => ({ perm: f.numbers("perm") }),
  broadcast: (f) => ({ shape: f.numbers("shape"), axes: f.numbers("axes") }),
  slice: (f) => ({ start: f.numbers("start"), end: f.numbers("end") }),
  pad: (f) => ({ before: f.numbers("before"), after: f.numbers("after") }),
  concat: (f) => ({ axis: f.number("axis") }),
  take: none,
  sum: axes,
  reduce_max: axes,
  logsumexp: axes,
  einsum: (f) => ({ lhs: f.numbers("lhs"), rhs: f.numbers("rhs"), out: f.numbers("out") }),
  scatter_add: (f) => ({ rows: f.number("rows") }),
  view: (f) => ({ offset: f.number("offset"), shape: f.numbers("shape") }),
  pack: (f) => ({ offsets: f.numbers("offsets"), size: f.number("size") }),
};

/**
 * Reads what `print` writes. Nothing is simplified or shared, and types are taken as written: `verify` checks them.
 * Blank lines, lines of `//` and space at either end of a line are skipped.
 * @param origin of the nodes whose line has none
 * @throws GraphError with the line
 */
export function parse(text: string, origin: Origin): Graph {
  const nodes: Node[] = [];
  const outputs: { name: string; node: NodeId }[] = [];
  const updates: { state: string; node: NodeId }[] = [];
  text.split("\n").forEach((line, index) => {
    const scanner = new Scanner(line, index + 1);
    if (scanner.done() || scanner.accept("//")) return;
    if (scanner.peek("%")) {
      nodes.push(parseNode(scanner, origin));
      return;
    }
    const kind = scanner.word();
    const name = scanner.word();
    scanner.expect("=");
    const node = scanner.id();
    if (kind === "output") outputs.push({ name, node });
    else if (kind === "update") updates.push({ state: name, node });
    else scanner.fail(`expected a node, \`output\` or \`update\`, got ${kind}`);
    scanner.end();
  });
  return { nodes, outputs, updates };
}

function parseNode(scanner: Scanner, origin: Origin): Node {
  const id = scanner.id();
  scanner.expect("=");
  const op = scanner.word();
  if (!isOpName(op)) return scanner.fail(`no op ${op}`);
  const inputs = scanner.list("(", ")", () => scanner.id());
  const values = new Map<string, AttrValue>();
  while (!scanner.accept(":")) {
    const name = scanner.word();
    scanner.expect("=");
    values.set(name, scanner.value());
  }
  const attrs = readAttrs[op](fieldsOf(scanner, values));
  const type = scanner.type();
  if (!scanner.accept("#")) {
    scanner.end();
    return nodeOf(op, id, inputs, attrs, type, origin);
  }
  const [pass, path, label, at] = [scanner.word(), scanner.word(), scanner.word(), scanner.word()];
  scanner.end();
  return nodeOf(op, id, inputs, attrs, type, { path, at, label, pass });
}

type AttrValue = number | string | readonly number[];

function fieldsOf(scanner: Scanner, values: ReadonlyMap<string, AttrValue>): Fields {
  const missing = (name: string, kind: string): never => scanner.fail(`attribute ${name} must be ${kind}`);
  const text = (name: string): string => {
    const value = values.get(name);
    return typeof value === "string" ? value : missing(name, "a word");
  };
  return {
    text,
    number: (name) => {
      const value = values.get(name);
      return typeof value === "number" ? value : missing(name, "a number");
    },
    numbers: (name) => {
      const value = values.get(name);
      return typeof value === "object" ? value : missing(name, "a list");
    },
    dtype: (name) => scanner.dtype(text(name)),
  };
}

/** Reads one line from left to right, skipping spaces before each piece. */
class Scanner {
  readonly #line: string;
  readonly #number: number;
  #position = 0;

  constructor(line: string, number: number) {
    this.#line = line;
    this.#number = number;
  }

  fail(message: string): never {
    throw new GraphError(
      `line ${this.#number}, column ${this.#position + 1}: ${message}: ${this.#line.trim()}`,
    );
  }

  #rest(): string {
    while (/\s/.test(this.#line[this.#position] ?? "")) this.#position++;
    return this.#line.slice(this.#position);
  }

  #match(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#rest())?.[0];
    this.#position += found?.length ?? 0;
    return found;
  }

  done(): boolean {
    return this.#rest() === "";
  }

  end(): void {
    if (!this.done()) this.fail("expected the end of the line");
  }

  peek(text: string): boolean {
    return this.#rest().startsWith(text);
  }

  accept(text: string): boolean {
    const found = this.peek(text);
    if (found) this.#position += text.length;
    return found;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`expected ${text}`);
  }

  /** A bare word or a JSON string. */
  word(): string {
    const bare = this.#match(/^[A-Za-z_][\w.:/-]*/);
    if (bare !== undefined) return bare;
    const quoted = this.#match(/^"(?:[^"\\]|\\["\\/bfnrt]|\\u[\da-f]{4})*"/) ?? this.fail("expected a word");
    return String(JSON.parse(quoted));
  }

  number(): number {
    return Number(this.#match(/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/) ?? this.fail("expected a number"));
  }

  id(): NodeId {
    this.expect("%");
    return this.number();
  }

  list<T>(open: string, close: string, item: () => T): readonly T[] {
    const items: T[] = [];
    this.expect(open);
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(","));
    this.expect(close);
    return items;
  }

  value(): AttrValue {
    if (this.peek("[")) return this.list("[", "]", () => this.number());
    return /^[-\d]/.test(this.#rest()) ? this.number() : this.word();
  }

  dtype(name: string): DType {
    return dtypes.find((dtype) => dtype === name) ?? this.fail(`no dtype ${name}`);
  }

  type(): TensorType {
    const dtype = this.dtype(this.word());
    return { dtype, shape: this.list("[", "]", () => this.number()) };
  }
}
