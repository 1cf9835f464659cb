import { formatBytes, formatCount, formatDuration } from "../tools/terminal/units.ts";
import { frameworkNames } from "./framework.ts";
import type { BenchResult, FrameworkFigures } from "./measure.ts";

/** The measured frameworks, in the order of the tables. */
function present(result: BenchResult): readonly FrameworkFigures[] {
  return frameworkNames.flatMap((name) => result.frameworks[name] ?? []);
}

/** `batch 8, vocabulary 1,000`. */
export function titleOf({ configuration }: BenchResult): string {
  return `batch ${configuration.batch}, vocabulary ${formatCount(configuration.vocab)}`;
}

export interface FigureTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One configuration: a row a figure, a column a framework; other frameworks with their ratio to Kiln in brackets. */
export function figureTable(result: BenchResult): FigureTable {
  const figures = present(result);
  const [kiln] = figures;
  const row = (
    title: string,
    of: (figures: FrameworkFigures) => number,
    format: (value: number) => string,
  ): string[] => [
    title,
    ...figures.map((each) => {
      const value = of(each);
      const own = kiln === undefined ? 0 : of(kiln);
      return each === kiln || own === 0 ? format(value) : `${format(value)} (${ratio(value / own)})`;
    }),
  ];
  return {
    titles: [titleOf(result), ...figures.map(({ title }) => title)],
    rows: [
      row("a step, median", (each) => each.stepMs, formatDuration),
      row("first step, compilation included", (each) => each.firstStepMs, formatDuration),
      row("compiled behind the first steps", (each) => each.settleMs, formatDuration),
      row("encode and submit, median", (each) => each.encodeMs, formatDuration),
      row("dispatches a step", (each) => each.dispatches, formatCount),
      row("submits a step", (each) => each.submits, formatCount),
      row("pipelines", (each) => each.pipelines, formatCount),
      row("buffers at the peak", (each) => each.peakBytes, formatBytes),
    ],
  };
}

function ratio(value: number): string {
  return `${value.toFixed(value < 9.95 ? 1 : 0)}x`;
}

/** The same as Markdown, several configurations one below the other. */
export function markdownTables(results: readonly BenchResult[]): string {
  return results
    .map((result) => {
      const { titles, rows } = figureTable(result);
      const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
      return [line(titles), line(["---", ...titles.slice(1).map(() => "---:")]), ...rows.map(line)].join(
        "\n",
      );
    })
    .join("\n\n");
}

const opening = "<!-- bench: written by `npm run bench -- --readme` -->";
const closing = "<!-- /bench -->";

/**
 * Puts the tables between the markers.
 * @throws Error where the text has no markers
 */
export function withTables(text: string, results: readonly BenchResult[]): string {
  const start = text.indexOf(opening);
  const end = text.indexOf(closing, start);
  if (start < 0 || end < 0) throw new Error(`the text has no lines \`${opening}\` and \`${closing}\``);
  const [any] = results;
  const block =
    any === undefined
      ? ""
      : `${any.device} on ${any.processor}, Node ${any.node}:\n\n${markdownTables(results)}\n`;
  return `${text.slice(0, start + opening.length)}\n${block}${text.slice(end)}`;
}
