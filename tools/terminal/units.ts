export { formatBytes } from "../../compiler/diagnostics/index.ts";

const bytesOfUnit: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ...["k", "m", "g", "t"].flatMap((prefix, i): [string, number][] => [
    [`${prefix}b`, 1000 ** (i + 1)],
    [`${prefix}ib`, 1024 ** (i + 1)],
  ]),
]);

/**
 * Bytes of a size such as `2GiB`, `1.5 GB`, `500mb` or `1048576`: as in IEC 80000-13, KiB is 1024 bytes and kB is 1000.
 * @returns whole bytes; undefined where the text is no size
 */
export function parseBytes(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim()) ?? [];
  const scale = bytesOfUnit.get((unit ?? "").toLowerCase());
  if (number === undefined || scale === undefined) return undefined;
  const bytes = Math.floor(Number(number) * scale);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const msOfUnit: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["", 1000],
  ["s", 1000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000],
]);

/**
 * Milliseconds of a length of time such as `90s`, `1.5m`, `500ms` or `60` (seconds).
 * @returns undefined where the text is none
 */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text.trim()) ?? [];
  const scale = msOfUnit.get((unit ?? "").toLowerCase());
  return number === undefined || scale === undefined ? undefined : Number(number) * scale;
}

/** `5,632,546`. Groups of three, whatever the person's locale, so that output can be compared. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1.2 G`, `350 M`: decimal prefixes for floating-point operations. */
export function formatFlops(flops: number): string {
  const prefixes = ["", " k", " M", " G", " T", " P"] as const;
  let value = flops;
  let prefix = 0;
  while (value >= 999.5 && prefix < prefixes.length - 1) {
    value /= 1000;
    prefix += 1;
  }
  return `${value >= 100 || prefix === 0 ? value.toFixed(0) : value.toFixed(1)}${prefixes[prefix]}`;
}

/** A length of time a person can read at a glance: `840 ms`, `12.3 s`, `1m 05s`, `2h 03m`, `4d 07h`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return "?";
  if (ms < 999.5) return `${ms < 9.95 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${pad2(seconds % 60)}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${pad2(minutes % 60)}m`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)}d ${pad2(hours % 24)}h`;
}

/** Time left in whole seconds, so that a bar does not flicker: `8s`, `1m 05s`, `2h 03m`. */
export function formatTimeLeft(ms: number): string {
  if (!Number.isFinite(ms)) return "?";
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 60 ? `${seconds}s` : formatDuration(seconds * 1000);
}

/** A rate with three significant digits: `0.42`, `57.3`, `4,413`. */
export function formatRate(value: number): string {
  if (!Number.isFinite(value)) return "?";
  if (value >= 1000) return formatCount(value);
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** A loss with three decimals (nats); `NaN` and infinities as words. */
export function formatLoss(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : String(value);
}

function pad2(value: number): string {
  return String(value).padStart(2, "0");
}
