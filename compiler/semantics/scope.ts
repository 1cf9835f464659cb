import type { Span } from "../diagnostics/index.ts";
import type { Value } from "./value.ts";

export interface Binding {
  readonly value: Value;
  /** Where it was declared. */
  readonly span: Span;
}

/** Names of one layer instance, fn call or block, inside another scope. */
export class Scope {
  readonly #bindings = new Map<string, Binding>();
  readonly parent: ParentScope;

  constructor(parent: ParentScope) {
    this.parent = parent;
  }

  /** @returns the binding that the name already has in this scope, which then stays */
  define(name: string, value: Value, span: Span): Binding | undefined {
    const known = this.#bindings.get(name);
    if (known === undefined) this.#bindings.set(name, { value, span });
    return known;
  }

  lookup(name: string): Binding | undefined {
    return this.#bindings.get(name) ?? this.parent.lookup(name);
  }

  /** Of this scope alone. */
  own(name: string): Binding | undefined {
    return this.#bindings.get(name);
  }

  ownNames(): readonly string[] {
    return [...this.#bindings.keys()];
  }

  names(): readonly string[] {
    return [...this.#bindings.keys(), ...this.parent.names()];
  }
}

/** Where a scope looks on: another scope, or the settings that a file sees. */
export interface ParentScope {
  lookup(name: string): Binding | undefined;
  /** Innermost first; may repeat. */
  names(): readonly string[];
}

export const emptyScope: ParentScope = { lookup: () => undefined, names: () => [] };
