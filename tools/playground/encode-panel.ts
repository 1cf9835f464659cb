import { element, elementById } from "./elements.ts";
import { failureOf } from "./failure.ts";
import type { Encoded } from "./messages.ts";
import { saveAsFile } from "./save-as-file.ts";
import { Refusal, type WorkerHost } from "./worker-host.ts";

/** Numbers of a vector that are shown. */
const shownNumbers = 6;
const encodeLimitMs = 180_000;

/** Turns a text into vectors with a saved run. */
export function openEncodePanel(host: WorkerHost): void {
  const form = elementById("encode", HTMLFormElement);
  const run = elementById("encode-run", HTMLSelectElement);
  const text = elementById("encode-text", HTMLInputElement);
  const save = elementById("save-vectors", HTMLButtonElement);
  const words = elementById("encode-state", HTMLParagraphElement);
  const place = elementById("vectors", HTMLDivElement);
  let latest: Encoded | undefined;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (run.value === "") {
      words.textContent = "There is no saved run yet: train one.";
      return;
    }
    words.textContent = "Encoding ...";
    save.disabled = true;
    try {
      latest = await host.ask(
        { kind: "encode", run: run.value, text: text.value },
        encodeLimitMs,
        "encoding took too long and was ended",
      );
      place.replaceChildren(vectorTable(latest));
      place.hidden = false;
      save.disabled = false;
      words.textContent = `${latest.shape[0]} tokens, ${latest.shape[1]} numbers each.`;
    } catch (thrown) {
      const { message, hint } = thrown instanceof Refusal ? thrown.failed : failureOf(thrown);
      words.textContent = hint === undefined ? message : `${message}: ${hint}`;
    }
  });
  save.addEventListener("click", () => {
    if (latest === undefined) return;
    saveAsFile(new Blob([`${JSON.stringify(latest)}\n`], { type: "application/json" }), "vectors.json");
  });
}

/** The first numbers of every vector: a look, not the data. */
function vectorTable({ tokens, vectors }: Encoded): HTMLTableElement {
  return element(
    "table",
    {},
    element(
      "tbody",
      {},
      ...tokens.map((token, at) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, token),
          ...(vectors[at] ?? []).slice(0, shownNumbers).map((value) => element("td", {}, value.toFixed(4))),
          element("td", {}, "..."),
        ),
      ),
    ),
  );
}
