import type { Prepared } from "../../runtime/data/index.ts";
import type { Console } from "../console.ts";
import { formatCount } from "../terminal/units.ts";

/** Tells what a person should know of a preparation and would not see. */
export function sayNotes({ leftOut, forgotten }: Prepared, console: Console): void {
  if (leftOut.length > 0) {
    const more = leftOut.length > 3 ? ` and ${leftOut.length - 3} more` : "";
    console.note(`not read, as they belong to no split: ${leftOut.slice(0, 3).join(", ")}${more}`);
  }
  if (forgotten > 0) {
    console.note(
      `so many different words that the rarest were forgotten while counting: counts may be low by up to ${formatCount(forgotten)}`,
    );
  }
}
