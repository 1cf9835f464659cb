import { formatCount } from "../terminal/units.ts";
import { Checker, type CheckOutcome } from "./checker.ts";
import { kindOf, refusalOf, takeDroppedFiles } from "./dropped-files.ts";
import { createEditor } from "./editor.ts";
import { element, elementById } from "./elements.ts";
import { openEncodePanel } from "./encode-panel.ts";
import { failureOf } from "./failure.ts";
import type { OwnText, Problem, SpecText, Started } from "./messages.ts";
import { freeName } from "./run-store.ts";
import { saveAsFile } from "./save-as-file.ts";
import { SavedRuns } from "./saved-runs.ts";
import { SettingsForm } from "./settings-form.ts";
import { shippedSpecs, shippedText } from "./specs.ts";
import { TrainingPanel } from "./training-panel.ts";
import { Refusal, WorkerHost } from "./worker-host.ts";

const firstSpec = "bert-tiny";
const checkLimitMs = 10_000;
const importLimitMs = 600_000;

const startWorker = (): Worker => new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });

let specPath = `${firstSpec}.bert`;
let ownText: OwnText | undefined;

const settings = new SettingsForm(elementById("settings", HTMLFormElement), () => checkAgain());
const editor = createEditor(elementById("editor", HTMLDivElement), shippedText(specPath) ?? "", () =>
  checkAgain(),
);
const checker = new Checker(new WorkerHost(startWorker, () => undefined), checkLimitMs, (_, outcome) =>
  showOutcome(outcome),
);
const runs = new SavedRuns(
  (run) => {
    if (!panel.isBusy) panel.resume(run);
  },
  (failed) => panel.showFailure(failed),
);
const panel = new TrainingPanel(startWorker, {
  onStarted: takeOverSpec,
  onSaved: () => void runs.refresh(),
  onFailed: ({ problems }) => {
    if (problems !== undefined) showProblems(problems);
  },
});

function specNow(): SpecText {
  return { path: specPath, text: editor.text, settings: settings.overrides };
}

function checkAgain(): void {
  checker.check(specNow());
}

function showOutcome(outcome: CheckOutcome): void {
  const verdict = elementById("verdict", HTMLParagraphElement);
  if ("tooLong" in outcome) {
    verdict.textContent = outcome.tooLong;
    showProblems([]);
    return;
  }
  const { problems, summary } = outcome;
  showProblems(problems);
  if (summary === undefined) {
    const errors = problems.filter(({ severity }) => severity === "error").length;
    verdict.textContent = `${errors} ${errors === 1 ? "error" : "errors"}`;
    return;
  }
  settings.show(summary.settings);
  verdict.textContent = `${summary.name}: ${formatCount(summary.parameters)} parameters, losses ${summary.losses.join(", ")}`;
}

function showProblems(problems: readonly Problem[]): void {
  editor.show(problems);
  elementById("problems", HTMLOListElement).replaceChildren(
    ...problems.map((problem) => {
      const button = element("button", { type: "button" }, problem.rendered);
      button.addEventListener("click", () => editor.focusOn(problem));
      return element("li", {}, button);
    }),
  );
}

/** The spec of the run is the one that is shown: a continued run brings its own. */
function takeOverSpec({ spec, seed }: Started): void {
  elementById("seed", HTMLInputElement).value = String(seed);
  if (spec.text === editor.text && spec.path === specPath) return;
  openSpec(spec);
}

function openSpec(spec: SpecText): void {
  specPath = spec.path;
  settings.reset(spec.settings);
  editor.setText(spec.text);
  checkAgain();
}

function chooseSpecs(): void {
  const choice = elementById("shipped", HTMLSelectElement);
  choice.replaceChildren(...shippedSpecs.map((name) => element("option", { value: name }, name)));
  choice.value = firstSpec;
  choice.addEventListener("change", () => {
    const path = `${choice.value}.bert`;
    openSpec({ path, text: shippedText(path) ?? "", settings: {} });
  });
  elementById("save-spec", HTMLButtonElement).addEventListener("click", () =>
    saveAsFile(new Blob([editor.text], { type: "text/plain" }), specPath),
  );
  elementById("reset-settings", HTMLButtonElement).addEventListener("click", () => {
    settings.reset({});
    checkAgain();
  });
}

async function train(): Promise<void> {
  const seed = Number(elementById("seed", HTMLInputElement).value);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
    panel.showFailure({ message: "the seed must be a whole number from 0 to 4294967295" });
    return;
  }
  const run = await freeName(specPath);
  panel.begin({ run, spec: specNow(), seed, ...(ownText !== undefined && { text: ownText }) });
}

function useText(text: OwnText | undefined): void {
  ownText = text;
  elementById("text-name", HTMLSpanElement).textContent =
    text === undefined ? "generated from a grammar" : `${text.name}, ${formatCount(text.bytes.length)} bytes`;
}

function chooseTexts(): void {
  const pasted = elementById("own-text", HTMLTextAreaElement);
  elementById("use-text", HTMLButtonElement).addEventListener("click", () => {
    if (pasted.value.trim() === "") useText(undefined);
    else useText({ name: "pasted text", bytes: new TextEncoder().encode(pasted.value) });
  });
  elementById("no-text", HTMLButtonElement).addEventListener("click", () => useText(undefined));
}

async function takeFile(file: File): Promise<void> {
  try {
    const refusal = refusalOf(file);
    if (refusal !== undefined) throw new Refusal({ message: refusal });
    switch (kindOf(file.name)) {
      case "spec":
        openSpec({ path: file.name, text: await file.text(), settings: {} });
        break;
      case "text":
        useText({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) });
        break;
      case "checkpoint": {
        const run = await freeName(file.name);
        await panel.host.ask(
          { kind: "import", run, file },
          importLimitMs,
          `reading ${file.name} took too long`,
        );
        await runs.refresh();
        break;
      }
    }
  } catch (thrown) {
    panel.showFailure(thrown instanceof Refusal ? thrown.failed : failureOf(thrown));
  }
}

function chooseFiles(id: string): void {
  const input = elementById(id, HTMLInputElement);
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) void takeFile(file);
    input.value = "";
  });
}

/** What to do where the browser has no WebGPU; specs can be written and checked all the same. */
function sayWhatIsMissing(): void {
  if (navigator.gpu !== undefined) return;
  const notice = elementById("notice", HTMLDivElement);
  notice.textContent = isSecureContext
    ? "This browser has no WebGPU, so nothing can be trained here. Take Chrome or Edge 113, Safari 26 or Firefox 141, or later; " +
      "in Chrome on Linux switch on chrome://flags/#enable-unsafe-webgpu and chrome://flags/#enable-vulkan. Specs are checked all the same."
    : "Browsers give WebGPU to pages from localhost or over https only. Specs are checked all the same.";
  notice.hidden = false;
}

chooseSpecs();
chooseTexts();
chooseFiles("text-file");
chooseFiles("checkpoint-file");
takeDroppedFiles((file) => void takeFile(file));
openEncodePanel(panel.host);
elementById("train", HTMLButtonElement).addEventListener("click", () => void train());
sayWhatIsMissing();
checkAgain();
void runs.refresh();
