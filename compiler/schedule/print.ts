import type { Kernel } from "../kernel/index.ts";
import type { Schedule } from "./schedule.ts";

/** One line a step: number, kind and size, name, what it reads, what it writes; then why kernels stayed apart. */
export function printSchedule(schedule: Schedule): string {
  const lines = schedule.steps.map((step, i) => {
    const number = String(i).padStart(4);
    if (step.kind === "clear")
      return `${number}  clear   ${step.range.buffer}+${step.range.offsetBytes} (${step.range.sizeBytes} bytes)`;
    if (step.kind === "copy")
      return `${number}  copy    ${step.from.buffer}+${step.from.offsetBytes} -> ${step.to.buffer}`;
    const { kernel } = step;
    const tensors = kernel.tensors.map((t, j) => {
      const range = step.bindings[j]!;
      return `${t.name.replace(/^t_/, "")}@${range.buffer}+${range.offsetBytes}`;
    });
    return `${number}  ${kernel.kind.padEnd(7)} ${sizeOf(kernel).padEnd(24)} ${step.label}\n        ${tensors.join(" ")}`;
  });
  const reasons = new Map<string, number>();
  for (const { reason } of schedule.unfused) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const scratch = schedule.scratch.map((s) => `${s.name} ${s.sizeBytes} bytes`).join(", ");
  return [
    ...lines,
    `scratch: ${scratch}`,
    ...[...reasons].map(([reason, count]) => `not fused, ${count} times: ${reason}`),
    "",
  ].join("\n");
}

function sizeOf(kernel: Kernel): string {
  switch (kernel.kind) {
    case "map":
      return `${kernel.axis.extent}`;
    case "row":
      return `${kernel.row.extent} rows of ${kernel.inner.extent}`;
    case "matmul":
      return `${kernel.batch.extent} x ${kernel.m.extent} x ${kernel.n.extent} x ${kernel.k.extent}`;
    case "score_sum":
      return `${kernel.batch.extent} x ${kernel.m.extent} x ${kernel.n.extent}, ${kernel.over.extent} times`;
    case "stream":
      return `${kernel.batch.extent} x ${kernel.outer.extent} over ${kernel.stream.extent}`;
    case "segment":
      return `${kernel.item.extent} items${"column" in kernel.stage ? ` of ${kernel.stage.column.extent}` : ""}`;
    default:
      return kernel satisfies never;
  }
}
