import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Failure } from "../failure.ts";
import type { GpuFigures } from "./kiln.ts";

export interface PyTorchRun {
  readonly dtype: "f32" | "bf16";
  readonly compiled: boolean;
}

/** Also what PyTorch's own largest matmul reaches in this dtype, FLOP/s, and on which device. */
export interface PyTorchFigures extends GpuFigures {
  readonly device: string;
  readonly matmulFlops: number;
}

const script = fileURLToPath(new URL("./pytorch_bert.py", import.meta.url));

/**
 * Runs `pytorch_bert.py` in a process of its own.
 * @throws Failure 3 where Python or PyTorch is missing or fails, with what it printed
 */
export async function measurePyTorch(
  python: string,
  taskPath: string,
  device: string,
  { dtype, compiled }: PyTorchRun,
): Promise<PyTorchFigures> {
  const args = [script, "--task", taskPath, "--device", device, "--dtype", dtype];
  const child = spawn(python, [...args, ...(compiled ? ["--compile"] : [])], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const failed = once(child, "error").then(([error]: unknown[]) => {
    throw new Failure(3, {
      message: `${python} does not start: ${error instanceof Error ? error.message : String(error)}`,
      hint: "name a Python that has PyTorch with --python",
    });
  });
  const ended = once(child, "close");
  const [out, err, [code]] = await Promise.race([
    Promise.all([text(child.stdout), text(child.stderr), ended]),
    failed,
  ]);
  if (code !== 0) {
    throw new Failure(3, {
      message: `PyTorch failed: ${err.trim().split("\n").at(-1)}`,
      hint: err.includes("No module named 'torch'")
        ? `install PyTorch for it (${python} -m pip install torch), or name another with --python`
        : `it was started as: ${[python, ...args].join(" ")}`,
    });
  }
  const result: Omit<PyTorchFigures, "title"> & { readonly version: string } = JSON.parse(out);
  const title = `PyTorch ${result.version}, ${compiled ? "torch.compile" : "eager"}, ${dtype}`;
  return { ...result, title };
}
