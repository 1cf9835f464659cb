import { type Place, rememberParses, type SpecContext } from "../../compiler/service/index.ts";
import { libraryText } from "../../models/index.ts";

/* Specs as an editor has them. In a marked text `‸` is the cursor. */

const parse = rememberParses();

export const root = "spec.bert";

export function contextOf(text: string, others: Readonly<Record<string, string>> = {}): SpecContext {
  return {
    root,
    load: (path) => (path === root ? text : others[path]),
    library: libraryText,
    importable: ["lib/bert.bert", "lib/data.bert"],
    parse,
  };
}

export function marked(text: string): {
  readonly spec: SpecContext;
  readonly place: Place;
  readonly text: string;
} {
  const offset = text.indexOf("‸");
  if (offset < 0) throw new Error("the text has no cursor");
  const plain = text.replace("‸", "");
  return { spec: contextOf(plain), place: { file: root, offset }, text: plain };
}

/** Puts a cursor into a text: behind the first `before`. */
export function cursorAfter(text: string, before: string): string {
  const at = text.indexOf(before);
  if (at < 0) throw new Error(`the text has no ${before}`);
  return `${text.slice(0, at + before.length)}‸${text.slice(at + before.length)}`;
}

/** A whole spec with layers of its own: one of them in two sizes. */
export const nested = `import "lib/bert.bert"
import "lib/data.bert"

setting width: int = 8  // of a word

// Widens, then narrows.
// Twice.
layer Twice(size: dim, gain: float = 2.0) {
  use wide = Linear(size, 2 * size), narrow = Linear(2 * size, size)
  param shift: f32[size] = zeros()
  forward(x: f32[..., size]) -> f32[..., size] {
    let spread = wide(x)
    return narrow(tanh(spread) * gain) + shift
  }
}

model Chain(n: dim) {
  use table  = Embedding(100, n)
  use blocks = repeat 3 of Twice(n)
  use last   = Twice(2 * n, gain: 1.0)
  require n > 1, "n is {n}, too few"
  forward(tokens: i32[B, T], weights: f32[B, T]) {
    let words = blocks(table(tokens))
    output encoded = words
    loss total = sum(last(concat([words, words], axis: -1))) + sum(weights)
  }
}

model Small = Chain(n: width)

train Small {
  data      CausalText(batch: 2, max_len: 6)
  minimize  total
  optimizer adamw(lr: warmup_linear(peak: 1e-3, warmup: 2, total: 10), exclude: ["*.bias"])
  clip      global_norm(1.0)
  steps     10
}
`;
