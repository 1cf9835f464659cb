import uPlot from "uplot";
import type { LossPoint } from "./messages.ts";

/** Between two drawings: the page has other things to do. */
const drawEveryMs = 200;
/** Line styles beside colours: curves are told apart without seeing colours. */
const dashes: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [12, 4, 2, 4]];

/** Live curves of a run's losses, each with the best that any model can reach where that is known. */
export class LossCurves {
  readonly #place: HTMLElement;
  #names: readonly string[] = [];
  #best: Readonly<Record<string, number>> = {};
  #steps: number[] = [];
  #values: (number | null)[][] = [];
  #plot: uPlot | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(place: HTMLElement) {
    this.#place = place;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    // A plot's colours are drawn, not styled.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#rebuild());
  }

  /** Shows another run. */
  begin(
    names: readonly string[],
    history: readonly LossPoint[],
    best: Readonly<Record<string, number>>,
  ): void {
    this.#names = names;
    this.#best = best;
    this.#steps = [];
    this.#values = names.map(() => []);
    for (const point of history) this.#push(point);
    this.#rebuild();
  }

  add(point: LossPoint): void {
    this.#push(point);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#plot?.setData(this.#data());
      this.#describe();
    }, drawEveryMs);
  }

  #push({ step, losses }: LossPoint): void {
    this.#steps.push(step);
    this.#names.forEach((name, at) => {
      const value = losses[name];
      // A step that was skipped may have no number.
      this.#values[at]?.push(value !== undefined && Number.isFinite(value) ? value : null);
    });
  }

  #data(): uPlot.AlignedData {
    const floors = this.#names.flatMap((name) => {
      const best = this.#best[name];
      return best === undefined ? [] : [this.#steps.map(() => best)];
    });
    return [this.#steps, ...this.#values, ...floors];
  }

  #rebuild(): void {
    this.#plot?.destroy();
    if (this.#names.length === 0) return;
    const colour = (name: string): string =>
      getComputedStyle(document.documentElement).getPropertyValue(name);
    const axis = {
      stroke: colour("--quiet"),
      grid: { stroke: colour("--border"), width: 1 },
      ticks: { show: false },
    };
    const curve = (at: number): string => colour(`--curve-${(at % 4) + 1}`);
    const options: uPlot.Options = {
      ...this.#size(),
      scales: { x: { time: false } },
      legend: { live: true },
      axes: [
        { ...axis, label: "step" },
        { ...axis, label: "loss, nats" },
      ],
      series: [
        { label: "step" },
        ...this.#names.map((name, at) => ({
          label: name,
          stroke: curve(at),
          width: 1.5,
          dash: [...(dashes[at % dashes.length] ?? [])],
          spanGaps: true,
        })),
        ...this.#names.flatMap((name, at) =>
          this.#best[name] === undefined
            ? []
            : [
                {
                  label: `best possible ${name}`,
                  stroke: curve(at),
                  width: 1,
                  dash: [3, 5],
                  points: { show: false },
                },
              ],
        ),
      ],
    };
    this.#plot = new uPlot(options, this.#data(), this.#place);
    this.#describe();
  }

  #size(): { readonly width: number; readonly height: number } {
    const width = Math.max(200, this.#place.clientWidth);
    return { width, height: Math.max(180, Math.min(360, Math.round(width * 0.5))) };
  }

  /** What who does not see the curves is told. */
  #describe(): void {
    const latest = this.#names.map(
      (name, at) => `${name} ${this.#values[at]?.at(-1)?.toFixed(3) ?? "none yet"}`,
    );
    const canvas = this.#place.querySelector("canvas");
    canvas?.setAttribute("role", "img");
    canvas?.setAttribute(
      "aria-label",
      `Curves of the losses over ${this.#steps.length} steps; at the end: ${latest.join(", ")}`,
    );
  }
}
