import type { CstNode, IRecognitionException } from "chevrotain";
import { type RuleName, theGrammar } from "./grammar.ts";
import type { Token } from "./tokens.ts";

/* Chevrotain's concrete tree, read safely: after an error any child may be missing. */

export type Node = CstNode;

export interface Read {
  readonly node: Node;
  readonly errors: readonly IRecognitionException[];
}

/** Reads a statement's tokens by a rule of the grammar. */
export function read(rule: RuleName, tokens: readonly Token[]): Read {
  const grammar = theGrammar();
  grammar.input = [...tokens];
  const node: Node | undefined = grammar[rule]();
  return { node: node ?? { name: rule, children: {} }, errors: [...grammar.errors] };
}

/** The tokens under a key that stand in the text. */
export function tokens(node: Node | undefined, key: string): Token[] {
  const found: Token[] = [];
  for (const element of node?.children[key] ?? []) {
    if ("image" in element && element.isInsertedInRecovery !== true) found.push(element);
  }
  return found;
}

export function token(node: Node | undefined, key: string): Token | undefined {
  return tokens(node, key)[0];
}

export function children(node: Node | undefined, key: string): Node[] {
  const found: Node[] = [];
  for (const element of node?.children[key] ?? []) if ("children" in element) found.push(element);
  return found;
}

export function child(node: Node | undefined, key: string): Node | undefined {
  return children(node, key)[0];
}
