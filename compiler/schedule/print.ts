import type { Kernel } from "../kernel/index.ts";
import { dataFlowOf, nameAt } from "./data-flow.ts";
import type { Schedule, ScheduledDispatch, ScheduledStep } from "./schedule.ts";

/** Pairs of kernels shown for each reason. */
const SHOWN_PAIRS = 12;

/**
 * Three parts in columns: a line a step (kernel, shape, the rules that made it, name, what it reads and writes, where it
 * comes from), a line an arena tensor (place and dispatches between which it is alive), and the reasons why kernels that
 * pass something on stayed apart, and why others did not share a dispatch.
 */
export function printSchedule(schedule: Schedule): string {
  const parts = [stepLines(schedule), memoryLines(schedule), reasonLines(schedule), apartLines(schedule)];
  return [...parts.flat(), ""].join("\n");
}

/** Dispatches are numbered, as everywhere; clears and copies are not. */
function stepLines(schedule: Schedule): readonly string[] {
  let dispatch = 0;
  return columns([
    ["#", "kernel", "shape", "rules", "name", "from", "reads -> writes"],
    ...schedule.steps.map((step) => cellsOf(step, step.kind === "dispatch" ? `${dispatch++}` : "")),
  ]);
}

function cellsOf(step: ScheduledStep, number: string): readonly string[] {
  switch (step.kind) {
    case "clear":
      return [number, "clear", "", "", "", "", `-> ${rangeText(step.range)}`];
    case "copy":
      return [number, "copy", "", "", "", "", `${rangeText(step.from)} -> ${rangeText(step.to)}`];
    case "dispatch": {
      const { kernel } = step;
      const [name = "", ...places] = step.label.split("  ");
      const list = (positions: readonly number[]) =>
        positions.map((position) => nameAt(step, position)).join(", ");
      const passed = `${list(step.reads)} -> ${list(step.writes)}`.trim();
      const rules = kernel.rules.join(" ") || "-";
      return [number, kernel.kind, kernelShape(kernel), rules, name, places.join("  "), passed];
    }
    default:
      return step satisfies never;
  }
}

function rangeText(range: ScheduledDispatch["bindings"][number]): string {
  return `${range.buffer}+${range.offsetBytes} (${range.sizeBytes} bytes)`;
}

function memoryLines(schedule: Schedule): readonly string[] {
  const sizes = schedule.scratch.map((s) => `${s.name} ${s.sizeBytes} bytes`).join(", ");
  const places = [...schedule.arenaTensors].sort(
    (a, b) => a.buffer.localeCompare(b.buffer) || a.offsetBytes - b.offsetBytes || a.first - b.first,
  );
  const lines = columns([
    ["arena", "offset", "bytes", "alive", "tensor"],
    ...places.map((t) => [
      t.buffer,
      `${t.offsetBytes}`,
      `${t.sizeBytes}`,
      t.first === t.last ? `${t.first}` : `${t.first}-${t.last}`,
      t.label,
    ]),
  ]);
  return [
    "",
    `memory: ${sizes === "" ? "states and inputs only" : sizes}`,
    ...(places.length > 0 ? lines : []),
  ];
}

function reasonLines(schedule: Schedule): readonly string[] {
  const pairs = new Map<string, string[]>();
  for (const { producer, consumer, reason } of dataFlowOf(schedule)) {
    const list = pairs.get(reason);
    if (list === undefined) pairs.set(reason, [`${producer}>${consumer}`]);
    else list.push(`${producer}>${consumer}`);
  }
  if (pairs.size === 0) return [];
  const lines = [...pairs]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([reason, list]) => {
      const rest = list.length > SHOWN_PAIRS ? ` ... ${list.length - SHOWN_PAIRS} more` : "";
      return [`${list.length}x`, reason, list.slice(0, SHOWN_PAIRS).join(" ") + rest];
    });
  return ["", "stayed apart (writer>reader):", ...columns(lines)];
}

function apartLines(schedule: Schedule): readonly string[] {
  const counts = new Map<string, number>();
  for (const { reason } of schedule.apart) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (counts.size === 0) return [];
  return ["", "not side by side:", ...columns([...counts].map(([reason, count]) => [`${count}x`, reason]))];
}

/** The extents that a kernel runs over. */
export function kernelShape(kernel: Kernel): string {
  switch (kernel.kind) {
    case "map":
      return `${kernel.axis.extent}`;
    case "row": {
      const { blocks } = kernel;
      const rows = `${kernel.row.extent} rows of ${kernel.inner.extent}`;
      return blocks === undefined ? rows : `${rows} in blocks of ${blocks.rows}`;
    }
    case "matmul":
      return `${kernel.batch.extent} x ${kernel.m.extent} x ${kernel.n.extent} x ${kernel.k.extent}`;
    case "score_sum":
      return `${kernel.batch.extent} x ${kernel.m.extent} x ${kernel.n.extent}, ${kernel.over.extent} times`;
    case "stream":
      return `${kernel.batch.extent} x ${kernel.outer.extent} over ${kernel.stream.extent}`;
    case "segment":
      return `${kernel.item.extent} items${"column" in kernel.stage ? ` of ${kernel.stage.column.extent}` : ""}`;
    case "beside":
      return kernel.parts.map((part) => `${part.kind} ${kernelShape(part)}`).join(" | ");
    default:
      return kernel satisfies never;
  }
}

/** Cells padded to their column's width, two blanks apart; columns of numbers at the right; nothing trails. */
function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  const isNumber: boolean[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  for (const i of widths.keys()) isNumber[i] = rows.slice(1).every((row) => /^\d*x?$/.test(row[i] ?? ""));
  return rows.map((row) =>
    row
      .map((cell, i) => (isNumber[i] === true ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}
