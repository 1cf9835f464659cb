import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { format, parse } from "../../compiler/syntax/index.ts";
import { drawnSpec, shipped } from "./specs.ts";

function formatted(text: string): string {
  const result = format({ name: "t.bert", text });
  if (result.kind === "errors") throw new Error(result.diagnostics.map((d) => d.message).join("\n"));
  return result.text;
}

/** The AST without spans. */
function tree(text: string): string {
  return JSON.stringify(parse({ name: "t.bert", text }).ast, (key, value: unknown) =>
    /span$/i.test(key) ? undefined : value,
  );
}

function comments(text: string): readonly string[] {
  return [...text.matchAll(/"(?:[^"\\\n]|\\.)*"|\/\/[^\r\n]*/g)]
    .map((m) => m[0].trimEnd())
    .filter((m) => m.startsWith("//"));
}

function checkFormat(text: string): void {
  const once = formatted(text);
  expect(tree(once)).toBe(tree(text));
  expect(formatted(once)).toBe(once);
  expect(comments(once)).toEqual(comments(text));
  expect(once).not.toMatch(/\n\n\n|[ \t]\n|\r|^\n|\n\n$/);
}

describe("keeps the AST and the comments, and changes nothing the second time", () => {
  test.each(shipped)("$name", ({ text }) => checkFormat(text));

  test("shipped specs with their spaces and line breaks changed", () => {
    fc.assert(
      fc.property(fc.constantFrom(...shipped), fc.infiniteStream(fc.nat(7)), ({ text }, draws) => {
        const next = (): number => draws.next().value ?? 0;
        // Newlines where they are free: behind commas inside brackets; more blank lines; other spaces.
        const changed = text.replace(/"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\n| +|,/g, (piece) => {
          if (piece === "\n") return next() === 0 ? "\n\n\n" : "\n";
          if (piece === ",") return next() === 0 ? ",\n" : ",";
          return piece.startsWith(" ") && next() < 2 ? "  " : piece;
        });
        checkFormat(changed);
      }),
      { numRuns: 24 },
    );
  });

  test("drawn specs", () => {
    fc.assert(
      fc.property(drawnSpec, (text) => {
        fc.pre(parse({ name: "t.bert", text }).diagnostics.length === 0);
        checkFormat(text);
      }),
      { numRuns: 80 },
    );
  });
});

test("spaces, columns, comments, blank lines", () => {
  const text = `// A file.
import   "a.bert"


setting vocab:int=3//short
setting hidden : int = -3   // longer
layer L( in:dim,out : dim ){

  param weight:f32[ in,out ]=zeros( )
  param b:f32[out]=zeros()   // the bias

  // apart
  use a=L(in,out),b=repeat(3)of L( in,out )
  if in>3{param c:f32=ones()}else{

    param d:f32[]=ones() ; const e = -in**2*-(3)

  }
  forward(x:f32[...,in])->f32[...,out]=x@weight+b[0:1,:,-1,...] // result
}
train M { // how
minimize -mlm
  optimizer adam( lr:[1,2] )

// last
}
// end`;
  expect(formatted(text)).toMatchInlineSnapshot(`
    "// A file.
    import "a.bert"

    setting vocab: int = 3    //short
    setting hidden: int = -3  // longer
    layer L(in: dim, out: dim) {
      param weight: f32[in, out] = zeros()
      param b:      f32[out]     = zeros()  // the bias

      // apart
      use a = L(in, out), b = repeat(3) of L(in, out)
      if in > 3 { param c: f32 = ones() } else {
        param d: f32[] = ones()
        const e = -in ** 2 * -(3)
      }
      forward(x: f32[..., in]) -> f32[..., out] = x @ weight + b[0:1, :, -1, ...]  // result
    }
    train M {  // how
      minimize  -mlm
      optimizer adam(lr: [1, 2])

      // last
    }
    // end
    "
  `);
});

test("long lines", () => {
  const text = `model Small = BertForPreTraining(vocab: vocab, hidden: hidden, layers: layers, heads: heads, ffn: ffn, max_len: max_len, dropout: dropout)
fn attend(q: f32[B, A, I, D], k: f32[B, A, J, D], v: f32[B, A, J, D], visible: bool[M, N, Q, J], dropout: float) -> f32[B, A, I, D] { return x }
loss MaskedLM(logits: f32[B, P, V], labels: i32[B, P], weights: f32[B, P]) -> f32 = sum(cross_entropy(logits, labels) * weights) / (sum(weights) + 1e-8)
layer L() {
  require first_condition == "something" or second_condition == "something else" or third_condition == "something", "a message"
  forward(x: f32, // the input
    y: f32,
    // of a kind
    z: f32) -> f32 {
    let sum = some_function(with_arguments, and_more) * another_function(with_arguments) + a_third_function(with_arguments) - last
    let chosen = if some_condition_that_is_long then some_function(with_arguments, and_more) else another_function(with_arguments)
    let nested = outer_function_with_a_long_name(inner_function_with_a_long_name(innermost_function(argument, axis: -1), argument, axis: -1))
  }
}`;
  expect(formatted(text)).toMatchInlineSnapshot(`
    "model Small = BertForPreTraining(vocab: vocab, hidden: hidden, layers: layers, heads: heads, ffn: ffn,
                                     max_len: max_len, dropout: dropout)
    fn attend(q: f32[B, A, I, D], k: f32[B, A, J, D], v: f32[B, A, J, D], visible: bool[M, N, Q, J],
              dropout: float) -> f32[B, A, I, D] {
      return x
    }
    loss MaskedLM(logits: f32[B, P, V], labels: i32[B, P], weights: f32[B, P]) -> f32
      = sum(cross_entropy(logits, labels) * weights) / (sum(weights) + 1e-8)
    layer L() {
      require first_condition == "something" or second_condition == "something else"
          or third_condition == "something", "a message"
      forward(x: f32,  // the input
          y: f32,
          // of a kind
          z: f32) -> f32 {
        let sum = some_function(with_arguments, and_more) * another_function(with_arguments)
            + a_third_function(with_arguments) - last
        let chosen = if some_condition_that_is_long then some_function(with_arguments, and_more)
            else another_function(with_arguments)
        let nested = outer_function_with_a_long_name(inner_function_with_a_long_name(
                                                     innermost_function(argument, axis: -1), argument, axis: -1))
      }
    }
    "
  `);
});

test("a text with errors stays as it is", () => {
  const result = format({ name: "t.bert", text: "layer L( {" });
  expect(result.kind).toBe("errors");
});
