/**
 * The candidate a misspelt name most likely meant, or undefined where none is close.
 * Close: at most a third of the longer name's letters (at least one) inserted, left out, changed or swapped with
 * the neighbour (Damerau 1964, optimal string alignment); letter case and `_` cost nothing. Ties go to the first.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  const wanted = fold(name);
  for (const candidate of candidates) {
    if (candidate === name) continue;
    const folded = fold(candidate);
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, folded.length) / 3));
    if (Math.abs(wanted.length - folded.length) > allowed) continue;
    const distance = alignmentDistance(wanted, folded);
    // A one-letter name is one change away from every other: no hint then.
    if (distance > allowed || distance >= Math.max(wanted.length, folded.length)) continue;
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

const LONGEST_COMPARED = 64;

function fold(name: string): string {
  return name.slice(0, LONGEST_COMPARED).toLowerCase().replaceAll("_", "");
}

function alignmentDistance(a: string, b: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
