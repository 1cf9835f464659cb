import type { MatrixShape } from "../../compiler/program/index.ts";

/**
 * A kernel with subgroup matrices as one without, for devices that have none: every invocation holds whole matrices in f32, in an
 * array, and what WGSL says of loads, products and stores is spelled out. Slow, but the places are those of the kernel.
 * @param shape of the matrices, @param subgroupSize of which the kernel has its workgroups
 */
export function withoutSubgroups(wgsl: string, { m, n, k }: MatrixShape, subgroupSize: number): string {
  const functions = new Map<string, string>();
  const define = (name: string, text: string): string => {
    functions.set(name, text);
    return name;
  };
  const load = (columns: number, rows: number, major: string, array: string): string => {
    const place = major === "col_major" ? "at + c * stride + r" : "at + r * stride + c";
    const type = `array<f32, ${rows * columns}>`;
    return define(
      `load_${array}_${columns}_${rows}_${major}`,
      `(at: i32, stride: i32) -> ${type} {
  var x: ${type};
  for (var r = 0; r < ${rows}; r++) { for (var c = 0; c < ${columns}; c++) { x[r * ${columns} + c] = ${array}[${place}]; } }
  return x;
}`,
    );
  };
  const multiply = define(
    "multiply",
    `(left: array<f32, ${m * k}>, right: array<f32, ${k * n}>, sums: array<f32, ${m * n}>) -> array<f32, ${m * n}> {
  var x = sums;
  var l = left;
  var y = right;
  for (var r = 0; r < ${m}; r++) { for (var c = 0; c < ${n}; c++) { for (var t = 0; t < ${k}; t++) {
    x[r * ${n} + c] += l[r * ${k} + t] * y[t * ${n} + c];
  } } }
  return x;
}`,
  );
  const store = (array: string): string =>
    define(
      `store_${array}`,
      `(at: i32, matrix: array<f32, ${m * n}>, stride: i32) {
  var x = matrix;
  for (var r = 0; r < ${m}; r++) { for (var c = 0; c < ${n}; c++) { ${array}[at + r * stride + c] = x[r * ${n} + c]; } }
}`,
    );
  const text = wgsl
    .replaceAll(/^enable .*;\n/gm, "")
    .replace(", @builtin(subgroup_id) subgroup_index: u32", "")
    .replace("i32(subgroup_index)", `local / ${subgroupSize}`)
    // Its operands are halves already.
    .replaceAll(/(fn to_f16_[14])\(x: (.+)\) -> .+ \{[^}]+\}/g, "$1(x: $2) -> $2 { return x; }")
    .replaceAll(/\bf16\b/g, "f32")
    .replaceAll(/subgroup_matrix_result<f32, (\d+), (\d+)>\(\)/g, (_, columns: string, rows: string) => {
      return `array<f32, ${Number(columns) * Number(rows)}>()`;
    })
    .replaceAll(
      /subgroupMatrixLoad<subgroup_matrix_\w+<f32, (\d+), (\d+)>, (\w+)>\(&(\w+), /g,
      (_, columns: string, rows: string, major: string, array: string) =>
        `${load(Number(columns), Number(rows), major, array)}(`,
    )
    .replaceAll("subgroupMatrixMultiplyAccumulate(", `${multiply}(`)
    .replaceAll(/subgroupMatrixStore<row_major>\(&(\w+), /g, (_, array: string) => `${store(array)}(`);
  if (/subgroup_?[mM]atrix/.test(text)) throw new Error("something of subgroup matrices is left");
  return text + [...functions].map(([name, body]) => `\nfn ${name}${body}\n`).join("");
}
