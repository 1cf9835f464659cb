import { scaleLinear } from "d3-scale";
import { formatBytes, formatDuration } from "../../terminal/units.ts";
import type { PageArena, PageKernel, PageSide } from "./content.ts";
import { escapeMarkup, selects, shortened } from "./markup.ts";

const width = 1200;
const left = 70;
const right = 12;

/** The kernels of both sides one after another, each as long as it took, on one scale of milliseconds. */
export function timelineSvg(sides: readonly PageSide[]): string {
  const [rowHeight, gap, top] = [46, 14, 6];
  const longest = Math.max(...sides.map((side) => totalMs(side.kernels)));
  const x = scaleLinear()
    .domain([0, longest])
    .range([left, width - right]);
  const bottom = top + sides.length * (rowHeight + gap);
  const rows = sides.map((side, row) => {
    const y = top + row * (rowHeight + gap);
    let at = 0;
    const bars = side.kernels.map((kernel, number) => {
      const begin = x(at);
      at += kernel.ms ?? 0;
      const bar = x(at) - begin;
      const title = `${number} ${kernel.name}: ${formatDuration(kernel.ms ?? 0)}, ${kernel.kind} ${kernel.shape}`;
      const label =
        bar > 40
          ? `<text x="${fixed(begin + 3)}" y="${y + rowHeight / 2 + 4}">${escapeMarkup(shortened(kernel.name, Math.floor(bar / 7)))}</text>`
          : "";
      return `<g class="span ${kernel.kind}" ${selects(side.name, number)}><title>${escapeMarkup(title)}</title><rect x="${fixed(begin)}" y="${y}" width="${fixed(Math.max(bar, 0.4))}" height="${rowHeight}"/>${label}</g>`;
    });
    return `<text class="axis end" x="${left - 8}" y="${y + rowHeight / 2 + 4}">${side.name}</text>${bars.join("")}`;
  });
  const ticks = x
    .ticks(10)
    .map((ms) => tick(x(ms), top, bottom, `${ms} ms`))
    .join("");
  return svg("timeline", bottom + 24, ticks + rows.join(""));
}

/**
 * An arena over the dispatches of a step: each tensor is a box from the dispatch that first touches it to the one that last
 * does, as high as its bytes, at its offset.
 */
export function memorySvg(side: PageSide, arena: PageArena, highestBytes: number): string {
  const [height, top] = [300, 8];
  const x = scaleLinear()
    .domain([0, side.kernels.length + 1])
    .range([left, width - right]);
  const y = scaleLinear()
    .domain([0, highestBytes])
    .range([top + height, top]);
  const boxes = arena.tensors.map((tensor) => {
    const upper = y(tensor.offsetBytes + tensor.sizeBytes);
    const alive = `dispatches ${tensor.first} to ${tensor.last}`;
    const title = `${tensor.label}: ${formatBytes(tensor.sizeBytes)} at ${tensor.offsetBytes}, ${alive}`;
    const kind = side.kernels[tensor.first]?.kind ?? "map";
    const [begin, end] = [x(tensor.first), x(tensor.last + 1)];
    const boxHeight = y(tensor.offsetBytes) - upper;
    const label =
      boxHeight > 12 && end - begin > 60
        ? `<text x="${fixed(begin + 3)}" y="${fixed(upper + boxHeight / 2 + 4)}">${escapeMarkup(shortened(tensor.label.split(" (")[0] ?? "", Math.floor((end - begin) / 7)))}</text>`
        : "";
    return `<g class="span ${kind}" ${selects(side.name, tensor.first)}><title>${escapeMarkup(title)}</title><rect x="${fixed(begin)}" y="${fixed(upper)}" width="${fixed(Math.max(end - begin, 0.6))}" height="${fixed(Math.max(boxHeight, 0.6))}"/>${label}</g>`;
  });
  const columns = x
    .ticks(12)
    .map((dispatch) => tick(x(dispatch), top, top + height, `${dispatch}`))
    .join("");
  const rows = byteTicks(highestBytes)
    .map(
      (bytes) =>
        `<line class="grid" x1="${left}" x2="${width - right}" y1="${fixed(y(bytes))}" y2="${fixed(y(bytes))}"/><text class="axis end" x="${left - 6}" y="${fixed(y(bytes) + 4)}">${formatBytes(bytes)}</text>`,
    )
    .join("");
  return svg("memory", top + height + 24, columns + rows + boxes.join(""));
}

/** About five round numbers of bytes, of a power of two apart. */
function byteTicks(most: number): readonly number[] {
  const step = 2 ** Math.ceil(Math.log2(Math.max(most, 4) / 6));
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}

function tick(x: number, top: number, bottom: number, text: string): string {
  return `<line class="grid" x1="${fixed(x)}" x2="${fixed(x)}" y1="${top}" y2="${bottom}"/><text class="axis middle" x="${fixed(x)}" y="${bottom + 16}">${text}</text>`;
}

function svg(name: string, height: number, content: string): string {
  return `<svg class="${name}" viewBox="0 0 ${width} ${height}" height="${height}" preserveAspectRatio="none" xmlns="http://www.w3.org/2000/svg">${content}</svg>`;
}

function totalMs(kernels: readonly PageKernel[]): number {
  return kernels.reduce((sum, { ms }) => sum + (ms ?? 0), 0);
}

function fixed(value: number): string {
  return String(Math.round(value * 100) / 100);
}
