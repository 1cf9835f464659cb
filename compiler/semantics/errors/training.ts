import type { Diagnostic, Span } from "../../diagnostics/index.ts";
import type {
  DataField,
  Expression,
  LayerDeclaration,
  Name,
  NameExpression,
  Parameter,
  TrainDeclaration,
  Type,
} from "../../syntax/index.ts";
import { describe, type Value } from "../value.ts";
import { error, listNames, suggestion } from "./diagnostic.ts";

export function noTrain(span: Span): Diagnostic {
  return error("no-train", "the spec has no `train` block", span, "", {
    hint: "`train Name { data ... minimize ... optimizer ... steps ... }` says how a model is trained",
  });
}

export function trainTwice(second: TrainDeclaration, first: TrainDeclaration): Diagnostic {
  return error("train-twice", "a spec has one `train` block", second.model.span, "a second one", {
    related: [{ span: first.model.span, text: "the first" }],
  });
}

export function missingTrainKeys(train: TrainDeclaration, missing: readonly string[]): Diagnostic {
  return error(
    "train-incomplete",
    `the train block does not say ${listNames(missing)}`,
    train.model.span,
    "of this model",
  );
}

export function modelNeedsSettings(train: Name, declaration: LayerDeclaration): Diagnostic {
  const parameters = declaration.parameters.map((p) => `${p.name.text}: ...`).join(", ");
  return error(
    "model-settings",
    `\`${train.text}\` is a model without its settings`,
    train.span,
    "trained here",
    {
      related: [{ span: declaration.name.span, text: "declared here" }],
      hint: `fix them first: \`model Mine = ${train.text}(${parameters})\`, then \`train Mine\``,
    },
  );
}

export function dataCall(span: Span): Diagnostic {
  return error("data-call", "`data` names a data declaration with its settings", span, "not one", {
    hint: "for instance `data PretrainingPairs(batch: 32, max_len: 64, predictions: 10)`",
  });
}

export function notData(name: NameExpression, declared: Span): Diagnostic {
  return error("not-data", `\`${name.text}\` is no data declaration`, name.span, "used as one", {
    related: [{ span: declared, text: "declared here" }],
  });
}

export function missingField(parameter: Parameter, data: Name, fields: readonly DataField[]): Diagnostic {
  const known = fields.map((f) => f.name.text);
  return error(
    "missing-field",
    `\`${data.text}\` has no field \`${parameter.name.text}\``,
    parameter.name.span,
    "an input of the model",
    {
      related: [
        {
          span: data.span,
          text: known.length === 0 ? "it has no fields" : `its fields are ${listNames(known)}`,
        },
      ],
      hint: suggestion(parameter.name.text, known),
    },
  );
}

export function inputNotTensor(parameter: Parameter): Diagnostic {
  return error("input-type", "an input of a model is a tensor", parameter.type.span, "not a tensor");
}

export function fieldType(field: DataField): Diagnostic {
  return error(
    "field-type",
    "a field is a tensor of i32 or f32 whose sizes are all known",
    field.type.span,
    "not such a type",
  );
}

export function modelWithoutForward(declaration: LayerDeclaration): Diagnostic {
  return error(
    "no-forward",
    `model \`${declaration.name.text}\` has no \`forward\``,
    declaration.name.span,
    "declared here",
  );
}

export function modelReturns(span: Span): Diagnostic {
  return error(
    "model-returns",
    "a model's forward names its `output`s and `loss`es instead of returning",
    span,
    "returned here",
  );
}

export function noLosses(declaration: LayerDeclaration): Diagnostic {
  return error(
    "no-losses",
    `model \`${declaration.name.text}\` has no \`loss\``,
    declaration.name.span,
    "declared here",
    {
      hint: "say `loss name = ...` in its forward",
    },
  );
}

export function resultTwice(kind: string, name: string, span: Span, first: Span): Diagnostic {
  return error("duplicate-name", `${kind} \`${name}\` is given twice`, span, "given again", {
    related: [{ span: first, text: "first given here" }],
  });
}

export function lossResult(name: Name, type: Type): Diagnostic {
  return error(
    "loss-result",
    `a loss is one f32 number: \`loss ${name.text}(...) -> f32\``,
    type.span,
    "not one number",
    {
      hint: "a `fn` may give tensors",
    },
  );
}

export function lossType(kind: "loss" | "metric", span: Span, name: string, value: Value): Diagnostic {
  return error("loss-type", `${kind} \`${name}\` must be one f32 number`, span, describe(value), {
    hint: value.kind === "tensor" ? "reduce it: `mean(x)`" : undefined,
  });
}

export function outputType(kind: "output" | "head", span: Span, name: string, value: Value): Diagnostic {
  return error("output-type", `${kind} \`${name}\` must be a tensor of numbers`, span, describe(value));
}

export function objectiveType(span: Span, value: Value): Diagnostic {
  return error("objective-type", "`minimize` takes an expression over the losses", span, describe(value));
}

export function recipeCall(span: Span, what: string, known: readonly string[]): Diagnostic {
  return error("recipe", `${what} is one of ${listNames(known, "or")}`, span, "not one of them");
}

export function unknownRecipe(name: NameExpression, what: string, known: readonly string[]): Diagnostic {
  return error("unknown-recipe", `no ${what} named \`${name.text}\``, name.span, "used here", {
    hint: suggestion(name.text, known),
  });
}

export function recipeRange(expression: Expression | { readonly span: Span }, problem: string): Diagnostic {
  return error("recipe-range", problem, expression.span, "given here");
}

export function unmatchedPattern(span: Span, pattern: string, known: readonly string[]): Diagnostic {
  const near = suggestion(pattern, [...known]);
  return error("unmatched-pattern", `no parameter matches \`${pattern}\``, span, "matches nothing", {
    hint: near?.startsWith("did") === true ? near : "`*` stands for any text, as in `*.bias`",
  });
}

export function allFrozen(span: Span): Diagnostic {
  return error(
    "all-frozen",
    "every parameter is frozen: there is nothing to train",
    span,
    "matches them all",
    {
      hint: "leave out at least one, for instance the head",
    },
  );
}
