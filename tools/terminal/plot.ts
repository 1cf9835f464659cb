import { isWithinReach } from "../report/history.ts";
import { formatCount, formatLoss } from "./units.ts";

export interface PlotOptions {
  /** Columns for the curve itself, without the axis. */
  readonly width: number;
  readonly height: number;
  /** The step of the first value. */
  readonly firstStep: number;
  /** A level to mark with a dotted line, for instance the best loss there is; left out where it lies far below. */
  readonly floor?: number;
}

/** Braille dots of a cell, by column and row: U+2800 plus these bits. */
const dotBits = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;

/**
 * A curve drawn with braille dots, 2 by 4 in a character, with the value axis at the left and steps below.
 * Several values in one dot column are averaged; values that are no finite numbers leave a gap.
 */
export function renderPlot(values: readonly number[], options: PlotOptions): string[] {
  const { width, height, firstStep, floor } = options;
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return ["(no values)"];
  const columns = averageColumns(values, width * 2);
  const shown = columns.filter((value) => value !== undefined);
  let low = Math.min(...shown);
  let high = Math.max(...shown);
  const markFloor = floor !== undefined && isWithinReach(floor, low, high);
  if (markFloor) low = Math.min(low, floor);
  if (high - low < 1e-9) {
    const middle = (high + low) / 2;
    low = middle - Math.max(1e-3, Math.abs(middle) * 0.01);
    high = middle + Math.max(1e-3, Math.abs(middle) * 0.01);
  }
  const dotRows = height * 4;
  const rowOf = (value: number): number => Math.round(((high - value) / (high - low)) * (dotRows - 1));
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const dot = (column: number, row: number): void => {
    const cellRow = cells[row >> 2];
    const bit = dotBits[column % 2 === 0 ? 0 : 1][row & 3];
    if (cellRow !== undefined && bit !== undefined) cellRow[column >> 1] = (cellRow[column >> 1] ?? 0) | bit;
  };
  if (markFloor) {
    for (let column = 0; column < width * 2; column += 4) dot(column, rowOf(floor));
  }
  let before: number | undefined;
  columns.forEach((value, column) => {
    if (value === undefined) {
      before = undefined;
      return;
    }
    const row = rowOf(value);
    // A steep fall is one stroke: the dots between two neighbours are filled in at the right one.
    const from = before === undefined ? row : before < row ? before + 1 : before > row ? before - 1 : row;
    for (let r = Math.min(from, row); r <= Math.max(from, row); r++) dot(column, r);
    before = row;
  });
  const labels = cells.map((_, row) =>
    row === 0 ? formatLoss(high) : row === height - 1 ? formatLoss(low) : "",
  );
  const labelWidth = Math.max(...labels.map((label) => label.length));
  const lines = cells.map((row, index) => {
    const text = Array.from(row, (bits) => (bits === 0 ? " " : String.fromCodePoint(0x2800 + bits))).join("");
    return `${(labels[index] ?? "").padStart(labelWidth)} ${labels[index] === "" ? "│" : "┤"}${text}`.trimEnd();
  });
  const left = formatCount(firstStep);
  const right = formatCount(firstStep + values.length - 1);
  const axis = `${" ".repeat(labelWidth)} └${"─".repeat(width)}`;
  const steps = `${" ".repeat(labelWidth + 2)}${left}${right.padStart(Math.max(right.length + 1, width - left.length))}`;
  return [...lines, axis, steps];
}

/**
 * One value a dot column: the mean of what falls into it, or, where there are fewer values than columns, a straight
 * line between neighbours.
 */
function averageColumns(values: readonly number[], columnCount: number): (number | undefined)[] {
  const count = values.length;
  return Array.from({ length: columnCount }, (_, column) => {
    if (count <= columnCount) {
      const at = columnCount === 1 ? 0 : (column * (count - 1)) / (columnCount - 1);
      const left = values[Math.floor(at)];
      const right = values[Math.ceil(at)];
      if (left === undefined || right === undefined) return undefined;
      const mixed = left + (right - left) * (at - Math.floor(at));
      return Number.isFinite(mixed) ? mixed : undefined;
    }
    const start = Math.floor((column * count) / columnCount);
    const end = Math.max(start + 1, Math.floor(((column + 1) * count) / columnCount));
    const slice = values.slice(start, end).filter(Number.isFinite);
    return slice.length === 0 ? undefined : slice.reduce((sum, value) => sum + value, 0) / slice.length;
  });
}
