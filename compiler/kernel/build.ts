import type { DType } from "../program/index.ts";
import { type AxisExpr, type Expr, type ReduceKind, type Term, walk } from "./expr.ts";
import type { ScalarBuilder, ScalarFn } from "./scalar-builder.ts";

const I32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const UNBOUNDED = { min: -Infinity, max: Infinity };
const COMPARISONS: ReadonlySet<ScalarFn> = new Set(["lt", "le", "eq", "and", "or", "not", "is_finite"]);

/** A reduction met while lowering: the caller of {@link KernelBuilder.capture} decides how its axes run. */
export interface CapturedReduction {
  readonly op: ReduceKind;
  readonly extents: readonly number[];
  readonly body: (axes: readonly Expr[]) => Expr;
}

/**
 * Builds the expressions of one kernel. Equal expressions are shared (so equality is identity), index arithmetic is kept in
 * the normal form `constant + sum of coefficient * atom` with quotients and remainders resolved by ranges.
 */
export class KernelBuilder implements ScalarBuilder {
  readonly #interned = new Map<string, Expr>();
  readonly #quotients = new Map<Expr, Map<number, Expr>>();
  readonly #remainders = new Map<Expr, Map<number, Expr>>();
  #nextId = 0;
  #captured: CapturedReduction | undefined;
  #capturing = false;

  #intern(key: string, make: (id: number) => Expr): Expr {
    const known = this.#interned.get(key);
    if (known !== undefined) return known;
    const made = make(this.#nextId++);
    this.#interned.set(key, made);
    return made;
  }

  constant(dtype: DType, value: number): Expr {
    const sign = Object.is(value, -0) ? "-0" : String(value);
    return this.#intern(`c:${dtype}:${sign}`, (id) => ({
      kind: "constant",
      id,
      dtype,
      value,
      min: value,
      max: value,
    }));
  }

  /** A new loop variable; every call makes another. Bounds are those of the elements from it on, not of origins alone. */
  axis(name: string, extent: number, multiple = 1): AxisExpr {
    const id = this.#nextId++;
    const made: AxisExpr = {
      kind: "axis",
      id,
      dtype: "i32",
      name,
      extent,
      multiple,
      min: 0,
      max: extent - 1,
    };
    this.#interned.set(`a:${id}`, made);
    return made;
  }

  /** A named value computed earlier in the kernel, that differs along the axes `over`. */
  value(dtype: DType, name: string, over: readonly AxisExpr[]): Expr {
    const range = dtype === "i32" ? I32 : UNBOUNDED;
    return this.#intern(`v:${dtype}:${name}`, (id) => ({ kind: "value", id, dtype, name, over, ...range }));
  }

  load(dtype: DType, tensor: number, index: Expr): Expr {
    const range = dtype === "i32" ? I32 : UNBOUNDED;
    return this.#intern(`l:${tensor}:${index.id}`, (id) => ({
      kind: "load",
      id,
      dtype,
      tensor,
      index,
      ...range,
    }));
  }

  call(fn: ScalarFn, ...args: readonly Expr[]): Expr {
    const first = args[0]!;
    if (first.dtype === "i32") {
      const folded = this.#indexCall(fn, first, args[1]);
      if (folded !== undefined) return folded;
    }
    const dtype: DType = COMPARISONS.has(fn) ? "bool" : fn === "uniform01" ? "f32" : first.dtype;
    let key = `f:${fn}`;
    for (const arg of args) key += `:${arg.id}`;
    const range =
      dtype === "i32" ? rangeOfCall(fn, args) : fn === "uniform01" ? { min: 0, max: 1 } : UNBOUNDED;
    return this.#intern(key, (id) => ({ kind: "call", id, dtype, fn, args, ...range }));
  }

  /** i32 arithmetic that the normal form can hold, and comparisons that the ranges decide. */
  #indexCall(fn: ScalarFn, a: Expr, b: Expr | undefined): Expr | undefined {
    if (fn === "neg") return this.scaleIndex(a, -1);
    if (b === undefined) return undefined;
    switch (fn) {
      case "add":
        return this.addIndex(a, b);
      case "sub":
        return this.addIndex(a, this.scaleIndex(b, -1));
      case "mul":
        if (b.kind === "constant") return this.scaleIndex(a, b.value);
        if (a.kind === "constant") return this.scaleIndex(b, a.value);
        return undefined;
      case "div":
        return b.kind === "constant" && b.value > 0 ? this.floorDiv(a, b.value) : undefined;
      case "mod":
        return b.kind === "constant" && b.value > 0 ? this.modulo(a, b.value) : undefined;
      case "lt":
        if (a.max < b.min) return this.constant("bool", 1);
        return a.min >= b.max ? this.constant("bool", 0) : undefined;
      case "le":
        if (a.max <= b.min) return this.constant("bool", 1);
        return a.min > b.max ? this.constant("bool", 0) : undefined;
      case "max":
        return a.min >= b.max ? a : b.min >= a.max ? b : undefined;
      case "min":
        return a.max <= b.min ? a : b.max <= a.min ? b : undefined;
      default:
        return undefined;
    }
  }

  select(condition: Expr, then: Expr, otherwise: Expr): Expr {
    if (condition.kind === "constant") return condition.value !== 0 ? then : otherwise;
    if (then === otherwise) return then;
    const key = `s:${condition.id}:${then.id}:${otherwise.id}`;
    const min = Math.min(then.min, otherwise.min);
    const max = Math.max(then.max, otherwise.max);
    return this.#intern(key, (id) => ({
      kind: "select",
      id,
      dtype: then.dtype,
      condition,
      then,
      otherwise,
      min,
      max,
    }));
  }

  cast(dtype: DType, x: Expr): Expr {
    if (x.dtype === dtype) return x;
    // Widening a half is exact, so that it comes back.
    if (dtype === "f16" && x.kind === "cast" && x.of.dtype === "f16") return x.of;
    const range = dtype !== "i32" ? UNBOUNDED : x.dtype === "bool" ? { min: 0, max: 1 } : I32;
    return this.#intern(`k:${dtype}:${x.id}`, (id) => ({ kind: "cast", id, dtype, of: x, ...range }));
  }

  addIndex(a: Expr, b: Expr): Expr {
    if (isZero(a)) return b;
    if (isZero(b)) return a;
    return this.#sum([...termsOf(a), ...termsOf(b)], constantOf(a) + constantOf(b));
  }

  scaleIndex(a: Expr, factor: number): Expr {
    if (factor === 0) return this.constant("i32", 0);
    if (factor === 1) return a;
    const terms = termsOf(a).map((t) => ({ coefficient: t.coefficient * factor, atom: t.atom }));
    return this.#sum(terms, constantOf(a) * factor);
  }

  /** Collects equal atoms, and rejoins `c*b * (x div b) + c * (x mod b)` into `c * x`. */
  #sum(terms: readonly Term[], constant: number): Expr {
    const collected = collect(terms);
    for (const part of collected) {
      const { atom, coefficient } = part;
      if (atom.kind !== "mod" || coefficient === 0) continue;
      const quotient = this.floorDiv(atom.of, atom.by);
      const other = collected.find((t) => t.atom === quotient);
      if (other?.coefficient !== coefficient * atom.by) continue;
      const rest = collected.filter((t) => t !== part && t !== other);
      const whole = termsOf(atom.of).map((t) => ({
        atom: t.atom,
        coefficient: t.coefficient * coefficient,
      }));
      return this.#sum([...rest, ...whole], constant + constantOf(atom.of) * coefficient);
    }
    const kept = collected.filter((t) => t.coefficient !== 0).sort((x, y) => x.atom.id - y.atom.id);
    const [first] = kept;
    if (first === undefined) return this.constant("i32", constant);
    if (kept.length === 1 && constant === 0 && first.coefficient === 1) return first.atom;
    let key = `+:${constant}`;
    for (const { coefficient, atom } of kept) key += `:${coefficient}*${atom.id}`;
    return this.#intern(key, (id) => {
      let min = constant;
      let max = constant;
      for (const { coefficient: c, atom } of kept) {
        min += c > 0 ? c * atom.min : c * atom.max;
        max += c > 0 ? c * atom.max : c * atom.min;
      }
      return { kind: "sum", id, dtype: "i32", terms: kept, constant, min, max };
    });
  }

  floorDiv(a: Expr, divisor: number): Expr {
    if (divisor === 1) return a;
    const known = ofDivisor(this.#quotients, a);
    let quotient = known.get(divisor);
    if (quotient === undefined) {
      quotient = this.#floorDiv(a, divisor);
      known.set(divisor, quotient);
    }
    return quotient;
  }

  #floorDiv(a: Expr, divisor: number): Expr {
    if (a.kind === "constant") return this.constant("i32", Math.floor(a.value / divisor));
    if (a.min >= 0 && a.max < divisor) return this.constant("i32", 0);
    const { whole, rest } = this.#split(a, divisor);
    // (divisor * whole + rest) div divisor = whole + rest div divisor
    if (rest.min >= 0 && rest.max < divisor) return whole;
    if (!isZero(whole)) return this.addIndex(whole, this.floorDiv(rest, divisor));
    // (x div b) div c = x div (b c)
    if (a.kind === "div") return this.floorDiv(a.of, a.by * divisor);
    // (g x + small) div (g c) = x div c
    const grouped = this.#factor(a, divisor);
    if (grouped !== undefined) return this.floorDiv(grouped.whole, divisor / grouped.factor);
    const range = { min: Math.floor(a.min / divisor), max: Math.floor(a.max / divisor) };
    return this.#intern(`/:${divisor}:${a.id}`, (id) => ({
      kind: "div",
      id,
      dtype: "i32",
      of: a,
      by: divisor,
      ...range,
    }));
  }

  modulo(a: Expr, divisor: number): Expr {
    if (divisor === 1) return this.constant("i32", 0);
    const known = ofDivisor(this.#remainders, a);
    let remainder = known.get(divisor);
    if (remainder === undefined) {
      remainder = this.#modulo(a, divisor);
      known.set(divisor, remainder);
    }
    return remainder;
  }

  #modulo(a: Expr, divisor: number): Expr {
    if (a.kind === "constant") return this.constant("i32", a.value - Math.floor(a.value / divisor) * divisor);
    if (a.min >= 0 && a.max < divisor) return a;
    const { whole, rest } = this.#split(a, divisor);
    if (rest.min >= 0 && rest.max < divisor) return rest;
    if (!isZero(whole)) return this.modulo(rest, divisor);
    if (a.kind === "mod" && a.by % divisor === 0) return this.modulo(a.of, divisor);
    // (g x + small) mod (g c) = g (x mod c) + small
    const grouped = this.#factor(a, divisor);
    if (grouped !== undefined) {
      const { factor, whole, rest: small } = grouped;
      return this.addIndex(this.scaleIndex(this.modulo(whole, divisor / factor), factor), small);
    }
    return this.#intern(`%:${divisor}:${a.id}`, (id) => ({
      kind: "mod",
      id,
      dtype: "i32",
      of: a,
      by: divisor,
      min: 0,
      max: divisor - 1,
    }));
  }

  /** a = divisor * whole + rest, where rest takes the terms that the divisor does not divide. */
  #split(a: Expr, divisor: number): { readonly whole: Expr; readonly rest: Expr } {
    const divisible: Term[] = [];
    const rest: Term[] = [];
    for (const t of termsOf(a)) (t.coefficient % divisor === 0 ? divisible : rest).push(t);
    const constant = constantOf(a);
    const wholeConstant = Math.floor(constant / divisor);
    const whole = divisible.map((t) => ({ atom: t.atom, coefficient: t.coefficient / divisor }));
    return {
      whole: this.#sum(whole, wholeConstant),
      rest: this.#sum(rest, constant - wholeConstant * divisor),
    };
  }

  /** a = factor * whole + rest with 0 <= rest < factor, where the factor divides the divisor; the largest there is. */
  #factor(
    a: Expr,
    divisor: number,
  ): { readonly factor: number; readonly whole: Expr; readonly rest: Expr } | undefined {
    const factors = new Set(termsOf(a).map((t) => greatestCommonDivisor(Math.abs(t.coefficient), divisor)));
    for (const factor of [...factors].sort((x, y) => y - x)) {
      if (factor <= 1) break;
      const { whole, rest } = this.#split(a, factor);
      if (rest.min >= 0 && rest.max < factor && !isZero(whole)) return { factor, whole, rest };
    }
    return undefined;
  }

  linearize(at: readonly Expr[], shape: readonly number[]): Expr {
    let index = this.constant("i32", 0);
    let stride = 1;
    for (let i = shape.length - 1; i >= 0; i--) {
      if (shape[i] !== 1) index = this.addIndex(index, this.scaleIndex(at[i]!, stride));
      stride *= shape[i]!;
    }
    return index;
  }

  delinearize(index: Expr, shape: readonly number[]): readonly Expr[] {
    const at: Expr[] = new Array(shape.length);
    let stride = 1;
    const outermost = shape.findIndex((size) => size !== 1);
    for (let i = shape.length - 1; i >= 0; i--) {
      const quotient = this.floorDiv(index, stride);
      at[i] =
        shape[i] === 1
          ? this.constant("i32", 0)
          : i === outermost
            ? quotient
            : this.modulo(quotient, shape[i]!);
      stride *= shape[i]!;
    }
    return at;
  }

  /** Reductions have no scalar of their own: the schedule captures them and gives them axes. */
  reduce(
    op: "sum" | "max" | "logsumexp",
    extents: readonly number[],
    body: (axes: readonly Expr[]) => Expr,
  ): Expr {
    if (extents.length === 0 || extents.every((n) => n === 1)) {
      return body(extents.map(() => this.constant("i32", 0)));
    }
    if (!this.#capturing) throw new Error(`kernel: a reduction "${op}" was inlined where none can run`);
    this.#captured = { op, extents, body };
    return this.value("f32", "captured", []);
  }

  /** Runs `lower`, expecting at most one reduction, which is handed back unevaluated. */
  capture(lower: () => Expr): CapturedReduction | Expr {
    this.#capturing = true;
    this.#captured = undefined;
    const plain = lower();
    this.#capturing = false;
    const captured: CapturedReduction | undefined = this.#captured;
    this.#captured = undefined;
    return captured ?? plain;
  }

  /** The same expression in this builder: expressions of different builders must not be mixed. */
  adopt(e: Expr, memo: Map<Expr, Expr>): Expr {
    const axis = (a: AxisExpr): AxisExpr => {
      const known = memo.get(a);
      if (known?.kind === "axis") return known;
      const made = this.axis(a.name, a.extent, a.multiple);
      memo.set(a, made);
      return made;
    };
    walk([e], (x) => {
      if (x.kind === "axis") axis(x);
      else if (x.kind === "value" && !memo.has(x)) memo.set(x, this.value(x.dtype, x.name, x.over.map(axis)));
      else if (x.kind === "constant" && !memo.has(x)) memo.set(x, this.constant(x.dtype, x.value));
    });
    return this.substitute(e, memo);
  }

  /** `e` with every key of `replace` replaced, renormalised. */
  substitute(e: Expr, replace: ReadonlyMap<Expr, Expr>): Expr {
    const memo = new Map<Expr, Expr>(replace);
    const go = (x: Expr): Expr => {
      const known = memo.get(x);
      if (known !== undefined) return known;
      const made = rebuild(x);
      memo.set(x, made);
      return made;
    };
    const rebuild = (x: Expr): Expr => {
      switch (x.kind) {
        case "constant":
        case "axis":
        case "value":
          return x;
        case "sum":
          return x.terms.reduce(
            (total, t) => this.addIndex(total, this.scaleIndex(go(t.atom), t.coefficient)),
            this.constant("i32", x.constant),
          );
        case "div":
          return this.floorDiv(go(x.of), x.by);
        case "mod":
          return this.modulo(go(x.of), x.by);
        case "load":
          return this.load(x.dtype, x.tensor, go(x.index));
        case "call":
          return this.call(x.fn, ...x.args.map(go));
        case "select":
          return this.select(go(x.condition), go(x.then), go(x.otherwise));
        case "cast":
          return this.cast(x.dtype, go(x.of));
        default:
          return x satisfies never;
      }
    };
    return go(e);
  }
}

/** Bounds of an i32 call. */
function rangeOfCall(fn: ScalarFn, [a, b]: readonly Expr[]): { readonly min: number; readonly max: number } {
  if (a === undefined || b === undefined) return I32;
  if (fn === "min") return { min: Math.min(a.min, b.min), max: Math.min(a.max, b.max) };
  if (fn === "max") return { min: Math.max(a.min, b.min), max: Math.max(a.max, b.max) };
  return I32;
}

/** One term for each atom, in the order in which they come first. */
function collect(terms: readonly Term[]): Term[] {
  const collected: Term[] = [];
  for (const term of terms) {
    const at = collected.findIndex((t) => t.atom === term.atom);
    if (at < 0) collected.push(term);
    else collected[at] = { atom: term.atom, coefficient: collected[at]!.coefficient + term.coefficient };
  }
  return collected;
}

/** The same few divisions are asked for at every element of every tensor of a shape. */
function ofDivisor(known: Map<Expr, Map<number, Expr>>, of: Expr): Map<number, Expr> {
  let results = known.get(of);
  if (results === undefined) {
    results = new Map();
    known.set(of, results);
  }
  return results;
}

function termsOf(e: Expr): readonly Term[] {
  if (e.kind === "sum") return e.terms;
  return e.kind === "constant" ? [] : [{ coefficient: 1, atom: e }];
}

function constantOf(e: Expr): number {
  return e.kind === "sum" ? e.constant : e.kind === "constant" ? e.value : 0;
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function isZero(e: Expr): boolean {
  return e.kind === "constant" && e.value === 0;
}
