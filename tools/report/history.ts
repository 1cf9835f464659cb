/** What is kept of one training step. */
export interface StepRecord {
  /** Steps done, this one included: the first is 1. */
  readonly step: number;
  /** By the spec's names, in nats. */
  readonly losses: Readonly<Record<string, number>>;
  /** Sentence pairs (examples) of the step, and the time it took on the wall, preparing data included. */
  readonly examples: number;
  readonly ms: number;
  /** The step changed nothing, as its gradient was not finite: its losses count in no mean. Not kept in the table. */
  readonly skipped?: boolean;
  /** Mixed precision: what the next step multiplies the objective with. Not kept in the table. */
  readonly lossScale?: number;
}

/** Loss names of a run in the order of the spec. */
export type LossNames = readonly string[];

/** One line a step: `step,<losses...>,pairs,ms`. Numbers as JavaScript prints them, so that reading back is exact. */
export function writeCsv(names: LossNames, records: readonly StepRecord[]): string {
  const lines = records.map((record) =>
    [record.step, ...names.map((name) => record.losses[name] ?? Number.NaN), record.examples, record.ms].join(
      ",",
    ),
  );
  return [["step", ...names, "pairs", "ms"].join(","), ...lines, ""].join("\n");
}

/**
 * Reads what `writeCsv` wrote, for a resumed run to continue the curve.
 * @returns undefined where the file is of other losses or not such a table: the caller then starts a new one
 */
export function readCsv(names: LossNames, text: string): StepRecord[] | undefined {
  const [head, ...lines] = text.split("\n").filter((line) => line !== "");
  if (head !== ["step", ...names, "pairs", "ms"].join(",")) return undefined;
  const records: StepRecord[] = [];
  for (const line of lines) {
    const cells = line.split(",").map(Number);
    const step = cells[0];
    const examples = cells[names.length + 1];
    const ms = cells[names.length + 2];
    if (cells.length !== names.length + 3 || step === undefined || examples === undefined || ms === undefined)
      return undefined;
    if (!Number.isInteger(step)) return undefined;
    const losses = Object.fromEntries(names.map((name, index) => [name, cells[index + 1] ?? Number.NaN]));
    records.push({ step, losses, examples, ms });
  }
  return records;
}

/** The records of the first `stepsDone` steps: what a run resumed there may keep. */
export function recordsUpTo(records: readonly StepRecord[], stepsDone: number): StepRecord[] {
  return records.filter((record) => record.step <= stepsDone);
}

/** Mean of every loss over all records but those of skipped steps. */
export function meanLosses(names: LossNames, records: readonly StepRecord[]): Record<string, number> {
  const counted = records.filter((record) => record.skipped !== true);
  return Object.fromEntries(
    names.map((name) => [
      name,
      counted.reduce((sum, record) => sum + (record.losses[name] ?? Number.NaN), 0) / counted.length,
    ]),
  );
}

/** Examples a second over the given records; NaN for none. */
export function pairsPerSecond(records: readonly StepRecord[]): number {
  const ms = records.reduce((sum, record) => sum + record.ms, 0);
  const examples = records.reduce((sum, record) => sum + record.examples, 0);
  return ms > 0 ? (examples / ms) * 1000 : Number.NaN;
}

/**
 * Exponential moving average with bias correction (Kingma and Ba 2015, section 3), as drawn over the raw curve.
 * @param span about how many steps are averaged: the decay is `1 - 2 / (span + 1)`
 */
export function smooth(values: readonly number[], span: number): number[] {
  const decay = 1 - 2 / (span + 1);
  let average = 0;
  let weight = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return value;
    average = decay * average + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return average / weight;
  });
}

/**
 * Whether a level below a curve can be shown without flattening it: the curve keeps at least half of the height.
 */
export function isWithinReach(floor: number, low: number, high: number): boolean {
  return Number.isFinite(floor) && floor <= high && low - floor <= high - low;
}
