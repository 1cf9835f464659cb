import {
  type AxisExpr,
  alignmentOf,
  childrenOf,
  dependsOn,
  type Expr,
  type KernelTensor,
  laneStride,
  walk,
} from "../kernel/index.ts";
import type { DType } from "../program/index.ts";
import {
  type DeclaredFn,
  literal,
  NEEDS_EQUAL_WIDTHS,
  SPELLING,
  storageType,
  valueType,
} from "./spelling.ts";

interface Value {
  readonly text: string;
  readonly width: 1 | 4;
}

interface Scope {
  readonly lines: string[];
  readonly values: Map<string, Value>;
}

const LONGEST_INLINE = 72;
/** Declared functions (`erf_4`) and the accumulators of a matmul (`acc_0_1`, at most ten quads wide). */
const PRINTED = /^(erf|hash|uniform01|round_f16|to_f16)_[14]$|^acc_\d+_\d$/;
const COMPONENTS = ["x", "y", "z", "w"] as const;

/**
 * Writes expressions as WGSL statements. Every expression goes into the outermost loop in which all it depends on is known, so
 * what a loop does not change is computed before it; index sums are split the same way.
 * With a lane axis, expressions that vary along it become vec4: one component an element.
 */
export class Emitter {
  /** Functions that the module must declare. */
  readonly functions = new Map<string, { readonly fn: DeclaredFn; readonly width: 1 | 4 }>();
  readonly #scopes: Scope[] = [{ lines: [], values: new Map() }];
  readonly #axes = new Map<AxisExpr, { readonly text: string; readonly depth: number }>();
  readonly #values = new Map<
    string,
    { readonly text: string; readonly depth: number; readonly width: 1 | 4 }
  >();
  readonly #uses = new Map<Expr, number>();
  readonly #depths = new Map<Expr, number>();
  readonly #tensors: ReadonlyMap<number, KernelTensor>;
  readonly #vectorTensors: ReadonlySet<number>;
  readonly #buffers: ReadonlySet<string>;
  #names = 0;

  constructor(tensors: readonly KernelTensor[], vectorTensors: ReadonlySet<number>) {
    this.#tensors = new Map(tensors.map((t) => [t.tensor, t]));
    this.#vectorTensors = vectorTensors;
    this.#buffers = new Set(tensors.map((t) => t.name));
  }

  get depth(): number {
    return this.#scopes.length - 1;
  }

  line(text: string): void {
    this.#scopes.at(-1)!.lines.push(text);
  }

  /** `head {` ... `}` around what `body` writes. */
  block(head: string, body: () => void): void {
    this.#scopes.push({ lines: [], values: new Map() });
    body();
    const { lines } = this.#scopes.pop()!;
    this.line(`${head} {`);
    for (const line of lines) this.line(`  ${line}`);
    this.line("}");
  }

  text(): readonly string[] {
    return this.#scopes[0]!.lines;
  }

  /** From here on `axis` is the variable `text` of the innermost scope. */
  bindAxis(axis: AxisExpr, text: string): void {
    this.#axes.set(axis, { text, depth: this.depth });
    this.#depths.clear();
  }

  /** From here on the value `name` is the variable `text` of the innermost scope. */
  bindValue(name: string, text: string, width: 1 | 4): void {
    this.#values.set(name, { text, depth: this.depth, width });
    this.#depths.clear();
  }

  /** Counts uses, so that what is used once is written in place. Call with all expressions of a scope before emitting. */
  expect(roots: readonly Expr[]): void {
    for (const root of roots) this.#uses.set(root, (this.#uses.get(root) ?? 0) + 1);
    walk(roots, (e) => {
      for (const child of childrenOf(e)) this.#uses.set(child, (this.#uses.get(child) ?? 0) + 1);
    });
  }

  /** A name that neither a buffer, nor a declared function, nor a variable of a printer has. */
  fresh(stem: string): string {
    for (;;) {
      this.#names += 1;
      const name = `${stem}${this.#names}`;
      if (!this.#buffers.has(name) && !PRINTED.test(name)) return name;
    }
  }

  /** `text` as one name of the innermost scope. */
  name(text: string, stem: string): string {
    if (/^\w+$/.test(text)) return text;
    const name = this.fresh(stem);
    this.line(`let ${name} = ${text};`);
    return name;
  }

  #depthOf(e: Expr): number {
    const known = this.#depths.get(e);
    if (known !== undefined) return known;
    let depth = 0;
    if (e.kind === "axis") depth = this.#axisOf(e).depth;
    else if (e.kind === "value") depth = this.#valueOf(e.name).depth;
    else for (const child of childrenOf(e)) depth = Math.max(depth, this.#depthOf(child));
    this.#depths.set(e, depth);
    return depth;
  }

  #axisOf(axis: AxisExpr) {
    const found = this.#axes.get(axis);
    if (found === undefined) throw new Error(`wgsl: axis ${axis.name} is used outside its loop`);
    return found;
  }

  #valueOf(name: string) {
    const found = this.#values.get(name);
    if (found === undefined) throw new Error(`wgsl: value ${name} is used before it is computed`);
    return found;
  }

  /** The value of `e` as WGSL text; a vec4 where it varies along `lane`. */
  emit(e: Expr, lane?: AxisExpr): Value {
    const along = lane !== undefined && dependsOn(e, lane) ? lane : undefined;
    if (e.kind === "constant") return { text: literal(e.dtype, e.value), width: 1 };
    if (e.kind === "value") {
      const { text, width } = this.#valueOf(e.name);
      return { text, width };
    }
    if (e.kind === "axis" && along === undefined) return { text: this.#axisOf(e).text, width: 1 };
    const depth = this.#depthOf(e);
    const scope = this.#scopes[depth]!;
    const key = `${e.id}:${along?.id ?? ""}`;
    const known = scope.values.get(key);
    if (known !== undefined) return known;
    const made = this.#write(e, along, depth);
    const value = this.#keepsInline(e, made, depth) ? made : this.#bind(e, made, depth);
    scope.values.set(key, value);
    return value;
  }

  #keepsInline(e: Expr, made: Value, depth: number): boolean {
    if (depth < this.depth) return false;
    if (e.kind === "load") return false;
    if (/^\w+$/.test(made.text)) return true;
    return (this.#uses.get(e) ?? 1) <= 1 && made.text.length <= LONGEST_INLINE;
  }

  #bind(e: Expr, made: Value, depth: number): Value {
    const stem =
      e.kind === "load" ? `${this.#tensors.get(e.tensor)!.name.slice(2)}_` : e.dtype === "i32" ? "i_" : "v_";
    const name = this.fresh(stem.replace(/^(\d)/, "n$1"));
    this.#scopes[depth]!.lines.push(`let ${name} = ${made.text};`);
    return { text: name, width: made.width };
  }

  #write(e: Expr, lane: AxisExpr | undefined, depth: number): Value {
    const width = lane === undefined ? 1 : 4;
    switch (e.kind) {
      case "axis":
        return { text: `(vec4<i32>(${this.#axisOf(e).text}) + vec4<i32>(0, 1, 2, 3))`, width: 4 };
      case "sum":
        return this.#writeSum(e, lane, depth);
      case "div":
      case "mod":
        return this.#writeDivision(e, lane);
      case "load":
        return this.#writeLoad(e, lane, depth);
      case "cast": {
        const x = this.emit(e.of, lane);
        if (e.dtype !== "f16") return { text: `${valueType(e.dtype, x.width)}(${x.text})`, width: x.width };
        const wide = e.of.dtype === "f32" ? x.text : `${valueType("f32", x.width)}(${x.text})`;
        this.functions.set(`to_f16_${x.width}`, { fn: "to_f16", width: x.width });
        return { text: `to_f16_${x.width}(${wide})`, width: x.width };
      }
      case "select": {
        const args = [e.condition, e.then, e.otherwise].map((x) => this.emit(x, lane));
        const widest = args.some((x) => x.width === 4) ? 4 : width;
        const [c, a, b] = args.map((x, i) => splat(x, i === 0 ? "bool" : e.dtype, widest));
        return { text: `select(${b}, ${a}, ${c})`, width: widest };
      }
      case "call": {
        const isConstant = e.args.every((x) => x.kind === "constant");
        // A `let` is no constant expression: WGSL refuses log(0) or exp(999) among constants, even where it is not selected.
        const args = e.args.map((x) =>
          isConstant ? this.#bind(x, this.emit(x), depth) : this.emit(x, lane),
        );
        const widest = args.some((x) => x.width === 4) ? 4 : width;
        const equal = NEEDS_EQUAL_WIDTHS.has(e.fn) || args.length === 1;
        const texts = args.map((x, i) => (equal ? splat(x, e.args[i]!.dtype, widest) : x.text));
        this.functions.set(`${e.fn}_${widest}`, { fn: e.fn, width: widest });
        return { text: SPELLING[e.fn](texts, e.args[0]!.dtype, widest), width: widest };
      }
      case "constant":
      case "value":
        throw new Error("wgsl: written by emit");
      default:
        return e satisfies never;
    }
  }

  /** Terms of outer loops are summed there. */
  #writeSum(e: Extract<Expr, { kind: "sum" }>, lane: AxisExpr | undefined, depth: number): Value {
    const byDepth = new Map<number, string[]>();
    let width: 1 | 4 = 1;
    for (const t of e.terms) {
      const atom = this.emit(t.atom, lane);
      if (atom.width === 4) width = 4;
      const at = atom.width === 4 ? depth : this.#depthOf(t.atom);
      const list = byDepth.get(at) ?? [];
      list.push(t.coefficient === 1 ? atom.text : `${atom.text} * ${t.coefficient}`);
      byDepth.set(at, list);
    }
    let total: string | undefined;
    for (const [at, terms] of [...byDepth].sort(([a], [b]) => a - b)) {
      const all = total === undefined ? terms : [total, ...terms];
      total = all.length === 1 ? all[0]! : all.join(" + ");
      if (at < depth && (all.length > 1 || total.includes(" "))) {
        total = this.#shareAt(at, total);
      }
    }
    const text = e.constant === 0 ? total! : `${total} + ${e.constant}`;
    return { text: `(${text})`, width };
  }

  /** A partial sum in an outer scope, written once for the same text. */
  #shareAt(depth: number, text: string): string {
    const scope = this.#scopes[depth]!;
    const known = scope.values.get(text);
    if (known !== undefined) return known.text;
    const name = this.fresh("i_");
    scope.lines.push(`let ${name} = ${text};`);
    scope.values.set(text, { text: name, width: 1 });
    return name;
  }

  #writeDivision(e: Extract<Expr, { kind: "div" | "mod" }>, lane: AxisExpr | undefined): Value {
    const x = this.emit(e.of, lane);
    const splatted = (value: string) => (x.width === 4 ? `vec4<u32>(${value})` : value);
    const isPowerOfTwo = (e.by & (e.by - 1)) === 0;
    if (e.of.min >= 0) {
      if (isPowerOfTwo && e.kind === "div") {
        return { text: `(${x.text} >> ${splatted(`${Math.log2(e.by)}u`)})`, width: x.width };
      }
      if (isPowerOfTwo) {
        const mask = x.width === 4 ? `vec4<i32>(${e.by - 1})` : `${e.by - 1}`;
        return { text: `(${x.text} & ${mask})`, width: x.width };
      }
      return { text: `(${x.text} ${e.kind === "div" ? "/" : "%"} ${e.by})`, width: x.width };
    }
    const remainder = `((${x.text} % ${e.by} + ${e.by}) % ${e.by})`;
    return { text: e.kind === "mod" ? remainder : `((${x.text} - ${remainder}) / ${e.by})`, width: x.width };
  }

  #writeLoad(e: Extract<Expr, { kind: "load" }>, lane: AxisExpr | undefined, depth: number): Value {
    const { name, dtype } = this.#tensors.get(e.tensor)!;
    const isVector = this.#vectorTensors.has(e.tensor);
    const fromStorage = (text: string, width: 1 | 4) =>
      dtype !== "bool" ? text : width === 1 ? `(${text} != 0u)` : `(${text} != vec4<u32>(0u))`;
    if (lane === undefined) return { text: fromStorage(this.#element(name, isVector, e.index), 1), width: 1 };
    if (isVector && isVectorIndex(e.index, lane)) {
      return { text: fromStorage(`${name}[${this.quarter(e.index)}]`, 4), width: 4 };
    }
    const at = this.#named(this.emit(e.index, lane), depth);
    const parts = COMPONENTS.map((c) => this.elementText(name, isVector, `${at}.${c}`));
    return { text: fromStorage(`${storageType(dtype, 4)}(${parts.join(", ")})`, 4), width: 4 };
  }

  /** The text as one name, so that its components can be taken. */
  #named(value: Value, depth: number): string {
    if (/^\w+$/.test(value.text)) return value.text;
    const name = this.fresh("i_");
    this.#scopes[depth]!.lines.push(`let ${name} = ${value.text};`);
    return name;
  }

  /** Index of the vec4 that begins at element `index`, a multiple of four. */
  quarter(index: Expr): string {
    if (index.kind === "constant") return String(index.value / 4);
    return `${this.emit(index).text} >> 2u`;
  }

  #element(name: string, isVector: boolean, index: Expr): string {
    if (isVector && index.kind === "constant") {
      return `${name}[${Math.floor(index.value / 4)}].${COMPONENTS[index.value % 4]}`;
    }
    return this.elementText(name, isVector, this.emit(index).text);
  }

  /** One element of a buffer bound as scalars or as vec4s. */
  elementText(name: string, isVector: boolean, at: string): string {
    return isVector ? `${name}[${at} >> 2u][${at} & 3]` : `${name}[${at}]`;
  }

  /** Stores `value` at `index`: four elements where either varies along `lane`. */
  store(tensor: number, index: Expr, value: Value, lane?: AxisExpr): void {
    this.#assign("=", tensor, index, value, lane);
  }

  /** Adds a number to what is stored at `index`, read at this place whatever was read before. */
  addTo(tensor: number, index: Expr, value: Value, lane?: AxisExpr): void {
    this.#assign("+=", tensor, index, value, lane);
  }

  #assign(operator: "=" | "+=", tensor: number, index: Expr, value: Value, lane: AxisExpr | undefined): void {
    const { name, dtype } = this.#tensors.get(tensor)!;
    const isVector = this.#vectorTensors.has(tensor);
    const toStorage = (text: string, width: 1 | 4) => {
      if (dtype !== "bool") return text;
      const t = storageType(dtype, width);
      return `select(${t}(0u), ${t}(1u), ${text})`;
    };
    if (lane === undefined || !dependsOn(index, lane)) {
      this.line(`${this.#element(name, isVector, index)} ${operator} ${toStorage(value.text, value.width)};`);
      return;
    }
    const whole = splat(value, dtype, 4);
    if (isVector && isVectorIndex(index, lane)) {
      this.line(`${name}[${this.quarter(index)}] ${operator} ${toStorage(whole, 4)};`);
      return;
    }
    const at = this.#named(this.emit(index, lane), this.depth);
    const stored = this.#named({ text: toStorage(whole, 4), width: 4 }, this.depth);
    for (const c of COMPONENTS)
      this.line(`${this.elementText(name, isVector, `${at}.${c}`)} ${operator} ${stored}.${c};`);
  }
}

/** `value` in `width` components. */
export function splat(value: Value, dtype: DType, width: 1 | 4): string {
  return width === 4 && value.width === 1 ? `${valueType(dtype, 4)}(${value.text})` : value.text;
}

export function isVectorIndex(index: Expr, lane: AxisExpr): boolean {
  return laneStride(index, lane, 4) === 1 && alignmentOf(index) % 4 === 0;
}
