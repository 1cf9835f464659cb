import { element } from "./elements.ts";
import type { SpecSummary } from "./messages.ts";

/** A field for every setting of the spec; what a person changes overrides the spec, as `--set` does. */
export class SettingsForm {
  readonly #form: HTMLFormElement;
  readonly #onChange: () => void;
  readonly #overrides = new Map<string, string>();
  #shown = "";

  constructor(form: HTMLFormElement, onChange: () => void) {
    this.#form = form;
    this.#onChange = onChange;
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  get overrides(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#overrides);
  }

  /** Takes over what a saved run or nobody has set. */
  reset(overrides: Readonly<Record<string, string>>): void {
    this.#overrides.clear();
    for (const [name, value] of Object.entries(overrides)) this.#overrides.set(name, value);
    this.#shown = "";
  }

  /** Values are those in force. Fields are made anew only where other settings are there: a person may be typing in one. */
  show(settings: SpecSummary["settings"]): void {
    const names = Object.keys(settings).join(" ");
    if (names !== this.#shown) {
      this.#shown = names;
      this.#form.replaceChildren(...Object.keys(settings).map((name) => this.#field(name)));
    }
    for (const [name, value] of Object.entries(settings)) {
      const input = this.#form.elements.namedItem(name);
      if (!(input instanceof HTMLInputElement)) continue;
      input.parentElement?.classList.toggle("changed", this.#overrides.has(name));
      if (input !== document.activeElement) input.value = this.#overrides.get(name) ?? String(value);
    }
  }

  #field(name: string): HTMLElement {
    const input = element("input", { name });
    input.addEventListener("input", () => {
      if (input.value.trim() === "") this.#overrides.delete(name);
      else this.#overrides.set(name, input.value.trim());
      this.#onChange();
    });
    return element("label", {}, name, input);
  }
}
