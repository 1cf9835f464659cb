import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { fusionRules, isFusionRule } from "../../../compiler/schedule/index.ts";
import { formatBytes, formatCount, formatDuration, formatFlops } from "../../terminal/units.ts";
import type { Comparison } from "../figures.ts";
import type { Roofline } from "../roofline.ts";
import { formatShare, kernelMs, rooflineLine } from "../tables.ts";
import { memorySvg, timelineSvg } from "./charts.ts";
import { type PageData, type PageSide, pageSide, type Stage } from "./content.ts";
import { graphSvg } from "./graph.ts";
import { escapeMarkup, scriptJson, selects } from "./markup.ts";

export interface PageInput {
  /** What was compared, for instance `bert-small, batch=16`. */
  readonly title: string;
  readonly device: string;
  readonly fused: Stage;
  readonly unfused: Stage;
  /** The step without each rule. */
  readonly rules: Readonly<Record<string, Comparison>>;
  readonly roofline: Roofline | undefined;
}

/**
 * One page that shows what fusion did, complete in itself: style, script and data are in it, and nothing is fetched.
 * @returns HTML
 */
export function renderPage(input: PageInput): string {
  const fused = pageSide("fused", input.fused, input.unfused);
  const unfused = pageSide("unfused", input.unfused, input.fused);
  const data: PageData = { fused, unfused, rules: fusionRules, roofline: input.roofline ?? null };
  const sides = [unfused, fused];
  const isTimed = fused.kernels.some(({ ms }) => ms !== null);
  const title = escapeMarkup(input.title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}: fused and unfused</title>
<style>
${asset("page.css")}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="quiet">One training step on ${escapeMarkup(input.device)}, with fused kernels and with one kernel an op. Click a kernel anywhere to see its code, the lines of the spec that it comes from, and why it is not one with its neighbours; what the other side runs for the same ops is marked with dashes.</p>
<p class="quiet">${input.roofline === undefined ? "" : `${escapeMarkup(rooflineLine(input.roofline))}.`}</p>
<p class="legend">${(["map", "row", "matmul", "stream", "segment"] as const).map((kind) => `<span class="${kind}"><i></i>${kind}</span>`).join("")}</p>
<h2>The step</h2>
<div class="tables">${sidesTable(input.fused.figures, input.unfused.figures)}${rulesTable(input.fused.figures, input.rules)}</div>
${isTimed ? `<h2>Timeline</h2>\n${view("timeline", "kernels in order, each as long as it took (medians on the device)", timelineSvg(sides))}` : ""}
<h2>Kernels and what they pass on</h2>
<div class="graphs">${sides.map((side) => `<div>${view(`graph-${side.name}`, `${side.name}: ${side.kernels.length} kernels`, graphSvg(side))}</div>`).join("")}</div>
<h2>Memory plan</h2>
<p class="quiet">Tensors in the arena over the dispatches of the step: from the one that first touches a tensor to the last that does.</p>
${sides.map(memoryViews).join("\n")}
<h2>All kernels</h2>
${[...sides].reverse().map(kernelList).join("\n")}
</main>
<aside id="kernel"></aside>
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>
${script()}</script>
</body>
</html>
`;
}

function asset(name: string): string {
  return readFileSync(new URL(`./${name}`, import.meta.url), "utf8");
}

/** The page's script without its types, closed over, so that it shares no names with the browser. */
function script(): string {
  return transformSync(asset("client.ts"), {
    loader: "ts",
    format: "iife",
    target: "es2022",
    charset: "utf8",
  }).code;
}

function view(id: string, caption: string, picture: string): string {
  const button = (factor: number, text: string, says: string): string =>
    `<button data-zoom="${factor}" data-of="${id}" title="${says}">${text}</button>`;
  const buttons = button(1 / 1.5, "−", "smaller") + button(1.5, "+", "larger") + button(0, "1:1", "as drawn");
  return `<div class="caption"><strong>${escapeMarkup(caption)}</strong>${buttons}</div><div class="view" id="${id}">${picture}</div>`;
}

function memoryViews(side: PageSide): string {
  const highest = Math.max(...side.arenas.map(({ sizeBytes }) => sizeBytes));
  const beside = side.buffers.map(
    ({ name, role, sizeBytes }) => `${name} (${role}) ${formatBytes(sizeBytes)}`,
  );
  const arenas = side.arenas.map((arena) =>
    view(
      `memory-${side.name}-${arena.name.replace(/\W/g, "-")}`,
      `${side.name}, ${arena.name}: ${formatBytes(arena.sizeBytes)}`,
      memorySvg(side, arena, highest),
    ),
  );
  return `${arenas.join("\n")}\n<p class="quiet">Beside it, all along: ${escapeMarkup(beside.join(", "))}.</p>`;
}

function sidesTable(fused: Comparison, unfused: Comparison): string {
  const row = (
    name: string,
    of: (side: Comparison) => number | null,
    format: (value: number) => string,
  ): string => {
    const [a, b] = [of(fused), of(unfused)];
    if (a === null || b === null) return "";
    return tableRow([name, format(b), format(a), a > 0 ? `${(b / a).toFixed(2)}×` : ""]);
  };
  const timed = (side: Comparison): number | null => (side.kernels.length > 0 ? kernelMs(side) : null);
  return `<table><thead>${tableHead(["", "unfused", "fused", "ratio"])}</thead><tbody>${[
    row("dispatches", (side) => side.dispatches, formatCount),
    row("pipelines", (side) => side.pipelines, formatCount),
    row("submits", (side) => side.submits, formatCount),
    row("read + written", (side) => side.bytesMoved, formatBytes),
    row("operations", (side) => side.flops, formatFlops),
    row("peak memory", (side) => side.peakBytes, formatBytes),
    row("time, median", (side) => side.msPerStep, formatDuration),
    row("in kernels", timed, formatDuration),
    row("of the roofline", (side) => side.roofline, formatShare),
  ].join("")}</tbody></table>`;
}

function rulesTable(fused: Comparison, rules: Readonly<Record<string, Comparison>>): string {
  const isTimed = Object.values(rules).some(({ msPerStep }) => msPerStep !== null);
  const difference = (a: number, b: number, format: (value: number) => string): string =>
    a === b ? "=" : `${b > a ? "+" : "−"}${format(Math.abs(b - a))}`;
  const rows = Object.entries(rules).map(([rule, side]) =>
    tableRow([
      `<span class="rule">${rule}</span>`,
      difference(fused.dispatches, side.dispatches, formatCount),
      difference(fused.bytesMoved, side.bytesMoved, formatBytes),
      difference(fused.peakBytes, side.peakBytes, formatBytes),
      ...(isTimed ? [difference(fused.msPerStep ?? 0, side.msPerStep ?? 0, formatDuration)] : []),
      `<span class="quiet">${isFusionRule(rule) ? fusionRules[rule] : ""}</span>`,
    ]),
  );
  const time = isTimed ? ["time"] : [];
  const head = tableHead(["without", "dispatches", "read + written", "peak", ...time, "the rule"]);
  return `<table><thead>${head}</thead><tbody>${rows.join("")}</tbody></table>`;
}

/** Numbers stand at the right: all but what is a name or words. */
function tableRow(cells: readonly string[]): string {
  return `<tr>${cells.map((cell, i) => `<td${cellClass(cell, i)}>${cell}</td>`).join("")}</tr>`;
}

function tableHead(titles: readonly string[]): string {
  return `<tr>${titles.map((title, i) => `<th${cellClass(title, i)}>${title}</th>`).join("")}</tr>`;
}

function cellClass(cell: string, column: number): string {
  return column === 0 || cell.startsWith("<span") || cell === "the rule" ? "" : ' class="end"';
}

function kernelList(side: PageSide): string {
  const columns = ["#", "kernel", "where", "rules", "bytes", "operations", "time", "of the roofline"];
  const head = columns.map((title, i) =>
    i === 0 || i > 3 ? `<th class="end" data-sort="">${title}</th>` : `<th>${title}</th>`,
  );
  const number = (value: number | null, text: string): string =>
    `<td class="end" data-value="${value ?? 0}">${value === null ? "" : text}</td>`;
  const rows = side.kernels.map((kernel, at) => {
    const bytes = kernel.bytesRead + kernel.bytesWritten;
    return [
      `<tr ${selects(side.name, at)}>`,
      number(at, `${at}`),
      `<td><span class="legend ${kernel.kind}"><i></i></span>${escapeMarkup(kernel.name)}</td>`,
      `<td class="quiet">${escapeMarkup(kernel.path)}</td>`,
      `<td class="quiet">${escapeMarkup(kernel.rules.join(" "))}</td>`,
      number(bytes, formatBytes(bytes)),
      number(kernel.flops, formatFlops(kernel.flops)),
      number(kernel.ms, formatDuration(kernel.ms ?? 0)),
      number(kernel.roofline, formatShare(kernel.roofline)),
      "</tr>",
    ].join("");
  });
  return `<div class="caption"><strong>${side.name}</strong></div><div class="list"><table><thead><tr>${head.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}
