import { formatBytes, formatCount } from "../terminal/units.ts";
import { element, elementById } from "./elements.ts";
import { failureOf } from "./failure.ts";
import type { Failed, SavedRun } from "./messages.ts";
import { exportRun, removeRun, savedRuns } from "./run-store.ts";
import { saveAsFile } from "./save-as-file.ts";

/** The list of saved runs: each can be continued, taken along as a file, or deleted. */
export class SavedRuns {
  readonly #list = elementById("runs", HTMLUListElement);
  readonly #choice = elementById("encode-run", HTMLSelectElement);
  readonly #onContinue: (run: string) => void;
  readonly #onFailed: (failed: Failed) => void;

  constructor(onContinue: (run: string) => void, onFailed: (failed: Failed) => void) {
    this.#onContinue = onContinue;
    this.#onFailed = onFailed;
  }

  async refresh(): Promise<void> {
    try {
      const runs = await savedRuns();
      this.#list.replaceChildren(...runs.map((run) => this.#item(run)));
      const chosen = this.#choice.value;
      this.#choice.replaceChildren(...runs.map(({ run }) => element("option", { value: run }, run)));
      if (runs.some(({ run }) => run === chosen)) this.#choice.value = chosen;
    } catch (thrown) {
      this.#onFailed({
        ...failureOf(thrown),
        hint: "this browser keeps no files for this page: training works, runs are lost when the page is closed",
      });
    }
  }

  #item({ run, specPath, step, totalSteps, sizeBytes, savedAt }: SavedRun): HTMLElement {
    const of = totalSteps === undefined ? "" : ` of ${formatCount(totalSteps)}`;
    const button = (text: string, work: () => Promise<void> | void): HTMLButtonElement => {
      const made = element("button", { type: "button", ariaLabel: `${text} ${run}` }, text);
      made.addEventListener("click", async () => {
        try {
          await work();
        } catch (thrown) {
          this.#onFailed(failureOf(thrown));
        }
      });
      return made;
    };
    const goOn = button("Continue", () => this.#onContinue(run));
    goOn.disabled = totalSteps !== undefined && step >= totalSteps;
    return element(
      "li",
      {},
      element(
        "span",
        {},
        element("strong", {}, run),
        ` ${specPath}, step ${formatCount(step)}${of}, ${formatBytes(sizeBytes)}, ${new Date(savedAt).toLocaleString()}`,
      ),
      goOn,
      button("Export", async () => saveAsFile(await exportRun(run), `${run}.safetensors`)),
      button("Delete", async () => {
        await removeRun(run);
        await this.refresh();
      }),
    );
  }
}
