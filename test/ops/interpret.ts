import { type DType, isFloat, type Tensor } from "../../compiler/graph/index.ts";
import { type Expr, KernelBuilder, type ScalarFn } from "../../compiler/kernel/index.ts";

/** Unrolls reductions over constant indices, so that a lowered element is one expression to look at. */
export class UnrollingBuilder extends KernelBuilder {
  override reduce(
    op: "sum" | "max" | "logsumexp",
    extents: readonly number[],
    body: (axes: readonly Expr[]) => Expr,
  ): Expr {
    const count = extents.reduce((total, size) => total * size, 1);
    let result: Expr | undefined;
    if (op === "logsumexp") {
      const top = this.reduce("max", extents, body);
      const sum = this.reduce("sum", extents, (axes) => this.call("exp", this.call("sub", body(axes), top)));
      return this.call("add", this.call("log", sum), top);
    }
    for (let index = 0; index < count; index++) {
      const element = body(this.delinearize(this.constant("i32", index), extents));
      result = result === undefined ? element : this.call(op === "sum" ? "add" : "max", result, element);
    }
    if (result === undefined) throw new Error("a reduction over nothing");
    return result;
  }
}

/**
 * The value of a scalar expression in float64 (integers in 32 bits), for given loop variables.
 * @throws RangeError for a load outside its tensor
 */
export function interpret(e: Expr, tensors: readonly Tensor[], axes: ReadonlyMap<Expr, number>): number {
  const go = (x: Expr): number => stored(x.dtype, valueIn(x));
  const valueIn = (x: Expr): number => {
    switch (x.kind) {
      case "constant":
        return x.value;
      case "axis":
        return axes.get(x)!;
      case "sum":
        return x.terms.reduce((total, term) => total + term.coefficient * go(term.atom), x.constant);
      case "div":
        return Math.floor(go(x.of) / x.by);
      case "mod":
        return go(x.of) - x.by * Math.floor(go(x.of) / x.by);
      case "load": {
        const value = tensors[x.tensor]!.data[go(x.index)];
        if (value === undefined) throw new RangeError(`load of element ${go(x.index)} of tensor ${x.tensor}`);
        return value;
      }
      case "call":
        return callFn(x.fn, x.args[0]!.dtype, x.args.map(go));
      case "select": {
        // Both sides are loaded on a device, so both must be in range.
        const [then, otherwise] = [go(x.then), go(x.otherwise)];
        return go(x.condition) !== 0 ? then : otherwise;
      }
      case "cast":
        return castTo(x.dtype, x.of.dtype, go(x.of));
      case "value":
        throw new Error(`no value for ${x.name}`);
      default:
        return x satisfies never;
    }
  };
  return go(e);
}

/** What a variable of the dtype holds of a number. */
function stored(dtype: DType, value: number): number {
  if (dtype === "i32") return value | 0;
  return dtype === "u32" ? value >>> 0 : value;
}

function castTo(to: DType, from: DType, value: number): number {
  if (to === "bool") return value === 0 ? 0 : 1;
  if (to === "f16") return halfOf(value);
  if (!isFloat(from) || to === "f32") return value;
  return to === "i32"
    ? Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(value)))
    : Math.max(0, Math.min(2 ** 32 - 1, Math.trunc(value)));
}

function callFn(fn: ScalarFn, dtype: DType, [a = Number.NaN, b = Number.NaN]: readonly number[]): number {
  const float = dtype === "f32";
  switch (fn) {
    case "neg":
      return -a;
    case "exp":
      return Math.exp(a);
    case "log":
      return Math.log(a);
    case "sqrt":
      return Math.sqrt(a);
    case "rsqrt":
      return Math.sqrt(1 / a);
    case "tanh":
      return 1 - 2 / (Math.exp(2 * a) + 1);
    case "erf":
      return erfByQuadrature(a);
    case "abs":
      return Math.abs(a);
    case "sin":
      return Math.sin(a);
    case "cos":
      return Math.cos(a);
    case "floor":
      return Math.floor(a);
    case "round_f16":
      return halfOf(a);
    case "is_finite":
      return Number(Math.abs(Math.fround(a)) <= 3.4028234663852886e38);
    case "not":
      return Number(a === 0);
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return float ? a * b : Number(BigInt.asIntN(53, BigInt(a) * BigInt(b)) & 0xffffffffn);
    case "div":
      return float ? a / b : b === 0 ? a : Math.floor(a / b);
    case "max":
      return a > b ? a : b;
    case "min":
      return a < b ? a : b;
    case "pow":
      return a === 0 ? Number(b === 0) : Math.exp(b * Math.log(a));
    case "mod":
      return !float && b === 0 ? 0 : a - b * Math.floor(a / b);
    case "lt":
      return Number(a < b);
    case "le":
      return Number(a <= b);
    case "eq":
      return Number(a === b);
    case "and":
      return Number(a !== 0 && b !== 0);
    case "or":
      return Number(a !== 0 || b !== 0);
    case "hash":
      return hashExactly(a);
    case "uniform01":
      return (hashExactly((a ^ hashExactly(b)) >>> 0) >>> 8) / 2 ** 24;
    default:
      return fn satisfies never;
  }
}

/** The nearer of the two binary16 values around a number. */
function halfOf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude === 0 || magnitude >= 65520)
    return magnitude === 0 ? value : value * Number.POSITIVE_INFINITY;
  const step = 2 ** (Math.max(Math.floor(Math.log2(magnitude)), -14) - 10);
  const below = Math.floor(magnitude / step);
  const rest = magnitude - below * step;
  const isUp = rest > step / 2 || (rest === step / 2 && below % 2 === 1);
  return Math.sign(value) * (isUp ? below + 1 : below) * step;
}

/** PCG-RXS-M-XS 32 by exact integers. */
function hashExactly(x: number): number {
  const state = BigInt.asUintN(32, BigInt(x) * 747796405n + 2891336453n);
  const word = BigInt.asUintN(32, ((state >> ((state >> 28n) + 4n)) ^ state) * 277803737n);
  return Number((word >> 22n) ^ word);
}

/** Integral of 2/sqrt(pi) e^(-t^2) from 0 to x, by Simpson's rule: error below 1e-12 for |x| up to 7. */
function erfByQuadrature(x: number): number {
  const steps = 2000;
  const density = (t: number): number => (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t);
  let total = density(0) + density(x);
  for (let k = 1; k < steps; k++) total += (k % 2 === 0 ? 2 : 4) * density((k * x) / steps);
  return (total * x) / steps / 3;
}
