import type {
  BinaryExpression,
  ConditionalExpression,
  Expression,
  MemberExpression,
  NameExpression,
  UnaryExpression,
} from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { evaluateCall } from "./calls.ts";
import { conditionNotSetting, noMember, notANumber, notAValue, operandKinds, unknownName } from "./errors.ts";
import { evaluateIndex } from "./indexing.ts";
import { lookupName, namesInScope } from "./names.ts";
import { foldArithmetic } from "./numbers.ts";
import { tensorBinary, tensorUnary } from "./operators.ts";
import { leave } from "./signature.ts";
import { boolValue, errorValue, intValue, isNumber, type Value } from "./value.ts";

/**
 * The value of an expression: a setting folded to a number, or a tensor, whose instructions are emitted.
 * @param label what the value is called in kernels: the name of the `let`, fn or layer; the operation without one
 */
export function evaluate(a: Analysis, expression: Expression, env: Env, label?: string): Value {
  const value = a.nested(expression.span, errorValue, () => evaluateHere(a, expression, env, label));
  a.observe?.(expression.span, env.path, value);
  return value;
}

function evaluateHere(a: Analysis, expression: Expression, env: Env, label: string | undefined): Value {
  switch (expression.kind) {
    case "name":
      return evaluateName(a, expression, env);
    case "int":
      return intValue(expression.value);
    case "float":
      return { kind: "float", value: expression.value };
    case "string":
      return { kind: "string", value: expression.value };
    case "bool":
      return boolValue(expression.value);
    case "list":
      return { kind: "list", elements: expression.elements.map((e) => evaluate(a, e, env)) };
    case "unary":
      return evaluateUnary(a, expression, env, label);
    case "binary":
      return evaluateBinary(a, expression, env, label);
    case "conditional":
      return evaluateConditional(a, expression, env, label);
    case "call":
      return evaluateCall(a, expression, env, label);
    case "index":
      return evaluateIndex(a, expression, env, label);
    case "member":
      return evaluateMember(a, expression, env);
    case "error":
      return errorValue;
    default:
      return expression satisfies never;
  }
}

function evaluateName(a: Analysis, name: NameExpression, env: Env): Value {
  const value = lookupName(a, name.text, name.span, env);
  if (value !== undefined) return value;
  const found = env.file.find(name.text, name.span);
  if (found !== undefined) return a.fail(notAValue(name, found.declaration));
  return a.fail(unknownName(name, namesInScope(env)));
}

function evaluateUnary(a: Analysis, expression: UnaryExpression, env: Env, label: string | undefined): Value {
  const { operator, span } = expression;
  const value = evaluate(a, expression.operand, env);
  if (value.kind === "error") return errorValue;
  const mark = { ...span, end: span.start + operator.length };
  const site = { shown: operator, span, mark, env, label };
  const operand = { value, span: expression.operand.span };
  if (operator === "not") {
    if (value.kind === "bool") return boolValue(!value.value);
    if (value.kind === "tensor" && value.dtype === "bool") return tensorUnary(a, "not", value, site);
    return a.fail(operandKinds(mark, "not", [operand], "a bool"));
  }
  if (isNumber(value)) {
    const folded = foldArithmetic("-", intValue(0), value);
    return "value" in folded ? folded.value : a.fail(notANumber(span, folded.problem));
  }
  if (value.kind === "tensor" && value.dtype !== "bool") return tensorUnary(a, "neg", value, site);
  return a.fail(operandKinds(mark, "-", [operand], "a number or a tensor of numbers"));
}

function evaluateBinary(
  a: Analysis,
  expression: BinaryExpression,
  env: Env,
  label: string | undefined,
): Value {
  const { operator, span, operatorSpan: mark } = expression;
  const left = evaluate(a, expression.left, env);
  if (
    left.kind === "bool" &&
    left.value === (operator === "or") &&
    (operator === "and" || operator === "or")
  ) {
    return left;
  }
  const right = evaluate(a, expression.right, env);
  if (left.kind === "error" || right.kind === "error") return errorValue;
  const operands = [
    { value: left, span: expression.left.span },
    { value: right, span: expression.right.span },
  ] as const;
  if (left.kind === "tensor" || right.kind === "tensor") {
    const site = { shown: operator, span, mark, env, label };
    return tensorBinary(a, operator, operands[0], operands[1], site);
  }
  if (isNumber(left) && isNumber(right) && operator !== "and" && operator !== "or" && operator !== "@") {
    const folded = foldArithmetic(operator, left, right);
    return "value" in folded ? folded.value : a.fail(notANumber(span, folded.problem));
  }
  if (left.kind === "bool" && right.kind === "bool" && (operator === "and" || operator === "or"))
    return right;
  if (
    (left.kind === "bool" && right.kind === "bool") ||
    (left.kind === "string" && right.kind === "string")
  ) {
    if (operator === "==") return boolValue(left.value === right.value);
    if (operator === "!=") return boolValue(left.value !== right.value);
  }
  const logical = operator === "and" || operator === "or";
  const wanted = logical ? "bools" : operator === "@" ? "tensors" : "numbers or tensors";
  return a.fail(operandKinds(mark, operator, operands, wanted));
}

function evaluateConditional(
  a: Analysis,
  expression: ConditionalExpression,
  env: Env,
  label: string | undefined,
): Value {
  const condition = evaluateCondition(a, expression.condition, env);
  if (condition === undefined) return errorValue;
  return evaluate(a, condition ? expression.then : expression.otherwise, env, label);
}

/** A condition over settings; undefined where it is none, which is reported. */
export function evaluateCondition(a: Analysis, condition: Expression, env: Env): boolean | undefined {
  const value = evaluate(a, condition, env);
  if (value.kind === "bool") return value.value;
  if (value.kind !== "error") a.report(conditionNotSetting(condition.span, value));
  return undefined;
}

function evaluateMember(a: Analysis, expression: MemberExpression, env: Env): Value {
  const target = evaluate(a, expression.target, env);
  if (target.kind === "error") return errorValue;
  if (target.kind !== "instance") return a.fail(noMember(expression, target, []));
  const { scope } = target.instance;
  const binding = scope.own(expression.member.text);
  if (binding === undefined) return a.fail(noMember(expression, target, scope.ownNames()));
  return leave(binding.value);
}
