import { copyFile, mkdir, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Columns } from "../../runtime/data/index.ts";
import { writeAtomically } from "../atomic-file.ts";
import { type ChartInput, renderLossChart } from "../report/chart.ts";
import { type HeldOutRecord, readHeldOutCsv, writeHeldOutCsv } from "../report/held-out-history.ts";
import { type LossNames, readCsv, recordsUpTo, type StepRecord, writeCsv } from "../report/history.ts";

/** How a run was started: what a resume must know that the checkpoint does not hold. */
export interface RunStart {
  /** The spec or program as it was named. */
  readonly spec: string;
  /** undefined: the generated corpus. */
  readonly corpus?: string;
  /** Columns of labelled data, as they were named. */
  readonly columns?: Columns;
}

/** The files of a run, all in one folder. */
export class RunFiles {
  readonly folder: string;
  readonly checkpoint: string;
  /** The checkpoint of the step that was best on held-out data. */
  readonly best: string;
  readonly csv: string;
  /** Measures on held-out data. */
  readonly heldOutCsv: string;
  readonly svg: string;
  readonly #start: string;

  constructor(folder: string) {
    this.folder = folder;
    this.checkpoint = join(folder, "checkpoint.safetensors");
    this.best = join(folder, "best.safetensors");
    this.csv = join(folder, "loss.csv");
    this.heldOutCsv = join(folder, "held-out.csv");
    this.svg = join(folder, "loss.svg");
    this.#start = join(folder, "run.json");
  }

  /**
   * Moves the checkpoint of an earlier run aside, so that a fresh run does not overwrite it at once.
   * @returns the path it has now; undefined if there was none
   */
  async keepEarlierCheckpoint(): Promise<string | undefined> {
    if ((await stat(this.checkpoint).catch(() => undefined)) === undefined) return undefined;
    const kept = join(this.folder, "checkpoint.previous.safetensors");
    await rename(this.checkpoint, kept);
    return kept;
  }

  /** Takes over the best checkpoint of the run that this one goes on with, where that lies in another folder. */
  async takeOverBest(before: RunFiles): Promise<void> {
    if (before.best === this.best || (await stat(before.best).catch(() => undefined)) === undefined) return;
    await mkdir(this.folder, { recursive: true });
    await copyFile(before.best, this.best);
  }

  /** The steps of the run so far that a run resumed after `stepsDone` steps goes on from; none where there is no table. */
  async readHistory(names: LossNames, stepsDone: number): Promise<StepRecord[]> {
    const text = await readFile(this.csv, "utf8").catch(() => undefined);
    const records = text === undefined ? undefined : readCsv(names, text);
    return records === undefined ? [] : recordsUpTo(records, stepsDone);
  }

  async writeHistory(names: LossNames, records: readonly StepRecord[]): Promise<void> {
    await writeAtomically(this.csv, writeCsv(names, records));
  }

  /** As `readHistory`, of the evaluations. */
  async readHeldOut(stepsDone: number): Promise<HeldOutRecord[]> {
    const text = await readFile(this.heldOutCsv, "utf8").catch(() => undefined);
    const records = text === undefined ? undefined : readHeldOutCsv(text);
    return (records ?? []).filter(({ step }) => step <= stepsDone);
  }

  async writeHeldOut(records: readonly HeldOutRecord[]): Promise<void> {
    await writeAtomically(this.heldOutCsv, writeHeldOutCsv(records));
  }

  async writeChart(input: ChartInput): Promise<void> {
    await writeAtomically(this.svg, renderLossChart(input));
  }

  async writeStart(start: RunStart): Promise<void> {
    await writeAtomically(this.#start, `${JSON.stringify(start, undefined, 2)}\n`);
  }

  /** undefined where the folder has no readable record of a run. */
  async readStart(): Promise<RunStart | undefined> {
    try {
      const value: unknown = JSON.parse(await readFile(this.#start, "utf8"));
      if (typeof value !== "object" || value === null || !("spec" in value) || typeof value.spec !== "string")
        return undefined;
      const corpus = "corpus" in value && typeof value.corpus === "string" ? value.corpus : undefined;
      const columns = "columns" in value && isColumns(value.columns) ? value.columns : undefined;
      return {
        spec: value.spec,
        ...(corpus !== undefined && { corpus }),
        ...(columns !== undefined && { columns }),
      };
    } catch {
      return undefined;
    }
  }
}

function isColumns(value: unknown): value is Columns {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((name) => typeof name === "string")
  );
}
