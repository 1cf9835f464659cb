const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** `812 B`, `1.5 KiB`, `395.5 MiB`. Binary units, one decimal above bytes. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.95 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${Math.round(value)} B` : `${value.toFixed(1)} ${byteUnits[unit]}`;
}
