import type { ReduceKind, Reduction } from "../kernel/index.ts";
import type { DType } from "../program/index.ts";
import { literal, valueType } from "./spelling.ts";

/**
 * How an invocation reduces: WGSL of its running result (one variable, or a maximum with the sum of exponentials taken from it),
 * of one more term, and of joining what lanes and invocations found.
 */
export interface Accumulator {
  readonly name: string;
  readonly dtype: DType;
  /** Running parts as variables of `width` lanes, by suffix: one for each number that a result is made of. */
  readonly parts: readonly string[];
  readonly declare: (width: 1 | 4) => readonly string[];
  /** Statements that take in `term`, of the variables' width. */
  readonly take: (term: string, width: 1 | 4) => readonly string[];
  /** Statements that leave the parts of all four lanes in scalars `<part>_all`, in a fixed order. */
  readonly joinLanes: (isVector: boolean) => readonly string[];
  /** Statements that take the parts of `other` (texts, in the order of `parts`) into those of `mine`. */
  readonly join: (mine: readonly string[], other: readonly string[]) => readonly string[];
  /** Statements that join the parts `own` of all invocations of a subgroup, and the names of what they give each of them. */
  readonly joinSubgroup: (own: readonly string[]) => {
    readonly lines: readonly string[];
    readonly parts: readonly string[];
  };
  /** The result, from its joined parts. */
  readonly result: (joined: readonly string[]) => string;
}

export function accumulatorOf(reduction: Pick<Reduction, "name" | "op" | "dtype">): Accumulator {
  return reduction.op === "logsumexp" ? logSumExp(reduction.name) : plain(reduction);
}

function identityOf(op: Exclude<ReduceKind, "logsumexp">, dtype: DType): string {
  switch (op) {
    case "sum":
      return literal(dtype, 0);
    case "max":
      return literal(dtype, dtype === "f32" ? -Infinity : dtype === "i32" ? -(2 ** 31) : 0);
    case "min":
      return literal(dtype, dtype === "f32" ? Infinity : dtype === "i32" ? 2 ** 31 - 1 : 2 ** 32 - 1);
    default:
      return op satisfies never;
  }
}

const SUBGROUP_FUNCTIONS = { sum: "subgroupAdd", max: "subgroupMax", min: "subgroupMin" } as const;

function plain({ name, op, dtype }: Pick<Reduction, "name" | "op" | "dtype">): Accumulator {
  if (op === "logsumexp") throw new Error("wgsl: a logsumexp has two parts");
  const combine = (a: string, b: string): string => (op === "sum" ? `${a} + ${b}` : `${op}(${a}, ${b})`);
  const part = `part_${name}`;
  return {
    name,
    dtype,
    parts: [part],
    declare: (width) => [`var ${part} = ${valueType(dtype, width)}(${identityOf(op, dtype)});`],
    take: (term) => [`${part} = ${combine(part, term)};`],
    joinLanes: (isVector) => [
      isVector
        ? `let ${part}_all = ${combine(`(${combine(`${part}.x`, `${part}.y`)})`, `(${combine(`${part}.z`, `${part}.w`)})`)};`
        : `let ${part}_all = ${part};`,
    ],
    join: ([mine], [other]) => [`${mine} = ${combine(mine!, other!)};`],
    joinSubgroup: ([own]) => ({
      lines: [`let ${part}_near = ${SUBGROUP_FUNCTIONS[op]}(${own});`],
      parts: [`${part}_near`],
    }),
    result: ([joined]) => joined!,
  };
}

/** The greatest term so far and the sum of exponentials below it (Milakov and Gimelshein 2018, arXiv:1805.02867). */
function logSumExp(name: string): Accumulator {
  const [top, sum] = [`top_${name}`, `sum_${name}`];
  return {
    name,
    dtype: "f32",
    parts: [top, sum],
    declare: (width) => [
      `var ${top} = ${valueType("f32", width)}(${literal("f32", -Infinity)});`,
      `var ${sum} = ${valueType("f32", width)}(0f);`,
    ],
    take: (term) => [
      `let next_${name} = max(${top}, ${term});`,
      `${sum} = ${sum} * exp(${top} - next_${name}) + exp(${term} - next_${name});`,
      `${top} = next_${name};`,
    ],
    joinLanes: (isVector) =>
      isVector
        ? [
            `let ${top}_all = max(max(${top}.x, ${top}.y), max(${top}.z, ${top}.w));`,
            `let scaled_${name} = ${sum} * exp(${top} - ${top}_all);`,
            `let ${sum}_all = (scaled_${name}.x + scaled_${name}.y) + (scaled_${name}.z + scaled_${name}.w);`,
          ]
        : [`let ${top}_all = ${top};`, `let ${sum}_all = ${sum};`],
    join: ([mineTop, mineSum], [otherTop, otherSum]) => [
      `let next_${name} = max(${mineTop}, ${otherTop});`,
      `${mineSum} = ${mineSum} * exp(${mineTop} - next_${name}) + ${otherSum} * exp(${otherTop} - next_${name});`,
      `${mineTop} = next_${name};`,
    ],
    joinSubgroup: ([ownTop, ownSum]) => ({
      lines: [
        `let ${top}_near = subgroupMax(${ownTop});`,
        `let ${sum}_near = subgroupAdd(${ownSum} * exp(${ownTop} - ${top}_near));`,
      ],
      parts: [`${top}_near`, `${sum}_near`],
    }),
    result: ([joinedTop, joinedSum]) => `${joinedTop} + log(${joinedSum})`,
  };
}
