/** What is minimized, where it is more than one loss. */
export const objectiveMeasure = "objective";

/** The measures of one evaluation during a run. */
export interface HeldOutRecord {
  /** Steps done. */
  readonly step: number;
  readonly measures: Readonly<Record<string, number>>;
}

/** One line an evaluation: `step,<measures...>`. Numbers as JavaScript prints them, so that reading back is exact. */
export function writeHeldOutCsv(records: readonly HeldOutRecord[]): string {
  const names = Object.keys(records[0]?.measures ?? {});
  const lines = records.map(({ step, measures }) =>
    [step, ...names.map((name) => measures[name] ?? Number.NaN)].join(","),
  );
  return [["step", ...names].join(","), ...lines, ""].join("\n");
}

/** Reads what `writeHeldOutCsv` wrote. @returns undefined where it is not such a table */
export function readHeldOutCsv(text: string): HeldOutRecord[] | undefined {
  const [head = "", ...lines] = text.split("\n").filter((line) => line !== "");
  const [first, ...names] = head.split(",");
  if (first !== "step") return undefined;
  const records: HeldOutRecord[] = [];
  for (const line of lines) {
    const [step = Number.NaN, ...values] = line.split(",").map(Number);
    if (!Number.isInteger(step) || values.length !== names.length) return undefined;
    records.push({ step, measures: Object.fromEntries(names.map((name, i) => [name, values[i]!])) });
  }
  return records;
}
