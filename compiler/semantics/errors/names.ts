import type { Diagnostic, Span } from "../../diagnostics/index.ts";
import type {
  ForwardItem,
  LayerDeclaration,
  MemberExpression,
  Name,
  NameExpression,
  OutputStatement,
} from "../../syntax/index.ts";
import type { Declaration } from "../declarations.ts";
import { describe, type Value } from "../value.ts";
import { error, suggestion } from "./diagnostic.ts";

export function unknownName(name: NameExpression, known: readonly string[]): Diagnostic {
  const hint = suggestion(name.text, known);
  return error("unknown-name", `nothing named \`${name.text}\` is in scope`, name.span, "used here", {
    hint,
  });
}

export function unknownFunction(name: NameExpression, known: readonly string[]): Diagnostic {
  const hint = suggestion(name.text, known);
  return error(
    "unknown-function",
    `no layer or function named \`${name.text}\` is in scope`,
    name.span,
    "called here",
    { hint },
  );
}

export function unknownLayer(name: Name, known: readonly string[]): Diagnostic {
  const hint = suggestion(name.text, known) ?? "is an import missing?";
  return error("unknown-layer", `no layer named \`${name.text}\``, name.span, "used here", { hint });
}

export function unknownModel(name: Name, known: readonly string[]): Diagnostic {
  return error("unknown-model", `no model named \`${name.text}\``, name.span, "used here", {
    hint: suggestion(name.text, known) ?? "is an import missing?",
  });
}

export function unknownData(name: NameExpression, known: readonly string[]): Diagnostic {
  return error("unknown-data", `no data declaration named \`${name.text}\``, name.span, "used here", {
    hint: suggestion(name.text, known) ?? 'is `import "lib/data.bert"` missing?',
  });
}

/** `a layer`, `a fn`, ... */
export function declarationKind(declaration: Declaration): string {
  return declaration.kind === "modelInstance" ? "a model" : `a ${declaration.kind}`;
}

export function notALayer(name: Name, declaration: Declaration): Diagnostic {
  const kind = declarationKind(declaration);
  return error(
    "not-a-layer",
    `\`${name.text}\` is ${kind}, not a layer`,
    name.span,
    "a layer is needed here",
    {
      related: [{ span: declaration.name.span, text: "declared here" }],
      hint:
        declaration.kind === "fn" || declaration.kind === "loss"
          ? "a fn has no parameters: call it without `use`"
          : undefined,
    },
  );
}

export function notAModel(name: Name, declaration: Declaration): Diagnostic {
  return error(
    "not-a-model",
    `\`${name.text}\` is ${declarationKind(declaration)}, not a model`,
    name.span,
    "a model is needed here",
    {
      related: [{ span: declaration.name.span, text: "declared here" }],
    },
  );
}

export function notAValue(name: NameExpression, declaration: Declaration): Diagnostic {
  const callable = declaration.kind === "fn" || declaration.kind === "loss";
  const kind = declarationKind(declaration);
  return error("not-a-value", `\`${name.text}\` is ${kind}, not a value`, name.span, "used as a value", {
    related: [{ span: declaration.name.span, text: "declared here" }],
    hint: callable
      ? `call it: \`${name.text}(...)\``
      : declaration.kind === "layer"
        ? "make one with `use`"
        : undefined,
  });
}

export function notCallable(span: Span, name: string | undefined, what: Value | Declaration): Diagnostic {
  const declared = "name" in what && "span" in what;
  const kind = declared ? declarationKind(what) : describe(what);
  const shown = name === undefined ? "this" : `\`${name}\``;
  const hint =
    declared && what.kind === "layer" ? `make one first: \`use x = ${what.name.text}(...)\`` : undefined;
  return error("not-callable", `${shown} is ${kind} and cannot be called`, span, "called here", { hint });
}

export function noMember(
  expression: MemberExpression,
  target: Value,
  members: readonly string[],
): Diagnostic {
  const name = expression.member.text;
  const span = expression.member.span;
  const what = describe(target);
  if (target.kind === "repeated") {
    return error("no-member", `${what} has no \`${name}\` of its own`, span, "read here", {
      hint: `take one of the ${target.instances.length}: \`[0].${name}\``,
    });
  }
  if (target.kind !== "instance") return error("no-member", `${what} has no members`, span, "read here");
  return error("no-member", `${what} has no \`${name}\``, span, "read here", {
    related: [{ span: target.instance.declaration.name.span, text: "the layer" }],
    hint: suggestion(name, members),
  });
}

export function duplicateName(name: string, span: Span, first: Span): Diagnostic {
  return error("duplicate-name", `\`${name}\` is declared twice`, span, "declared again", {
    related: [{ span: first, text: "first declared here" }],
  });
}

export function ambiguousName(name: string, span: Span, first: Span, second: Span): Diagnostic {
  return error("ambiguous-name", `two imported files declare \`${name}\``, span, "which one?", {
    related: [
      { span: first, text: "declared here" },
      { span: second, text: "and here" },
    ],
    hint: "import only one of the files, or declare it in this one",
  });
}

export function noForward(span: Span, declaration: LayerDeclaration): Diagnostic {
  return error("no-forward", `\`${declaration.name.text}\` has no \`forward\``, span, "called here", {
    related: [{ span: declaration.name.span, text: "declared here" }],
  });
}

export function forwardTwice(second: ForwardItem, first: ForwardItem): Diagnostic {
  return error("forward-twice", "a layer has one `forward`", second.keywordSpan, "a second one", {
    related: [{ span: first.keywordSpan, text: "the first" }],
  });
}

export function missingReturn(callee: string, keyword: Span): Diagnostic {
  return error("missing-return", `\`${callee}\` returns nothing`, keyword, "no `return` is reached", {
    hint: "end the body with `return value`",
  });
}

export function outputOutsideModel(statement: OutputStatement): Diagnostic {
  return error(
    "output-outside-model",
    `\`${statement.kind}\` stands only in the forward of a model`,
    statement.span,
    "not in a layer or fn",
    {
      hint: "a layer gives its values with `return`",
    },
  );
}
