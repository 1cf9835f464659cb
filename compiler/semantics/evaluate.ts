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
  return a.nested(expression.span, errorValue, () => evaluateHere(a, expression, env, label));
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
  const operand = evaluate(a, expression.operand, env);
  if (operand.kind === "error") return errorValue;
  if (expression.operator === "not") {
    if (operand.kind === "bool") return boolValue(!operand.value);
    if (operand.kind === "tensor" && operand.dtype === "bool") {
      return tensorUnary(a, "not", operand, expression.span, env, label);
    }
    return a.fail(
      operandKinds(expression.span, "not", [{ value: operand, span: expression.operand.span }], "a bool"),
    );
  }
  if (isNumber(operand)) {
    const folded = foldArithmetic("-", intValue(0), operand);
    return "value" in folded ? folded.value : a.fail(notANumber(expression.span, folded.problem));
  }
  if (operand.kind === "tensor" && operand.dtype !== "bool") {
    return tensorUnary(a, "neg", operand, expression.span, env, label);
  }
  return a.fail(
    operandKinds(
      expression.span,
      "-",
      [{ value: operand, span: expression.operand.span }],
      "a number or a tensor of numbers",
    ),
  );
}

function evaluateBinary(
  a: Analysis,
  expression: BinaryExpression,
  env: Env,
  label: string | undefined,
): Value {
  const { operator, span } = expression;
  const left = evaluate(a, expression.left, env);
  if (left.kind === "bool" && ((operator === "and" && !left.value) || (operator === "or" && left.value)))
    return left;
  const right = evaluate(a, expression.right, env);
  if (left.kind === "error" || right.kind === "error") return errorValue;
  if (left.kind === "tensor" || right.kind === "tensor") {
    const operands = {
      left: { value: left, span: expression.left.span },
      right: { value: right, span: expression.right.span },
    };
    return tensorBinary(a, operator, operands.left, operands.right, span, env, label);
  }
  if (isNumber(left) && isNumber(right) && operator !== "and" && operator !== "or" && operator !== "@") {
    const folded = foldArithmetic(operator, left, right);
    return "value" in folded ? folded.value : a.fail(notANumber(span, folded.problem));
  }
  if (left.kind === "bool" && right.kind === "bool") {
    if (operator === "and" || operator === "or") return right;
    if (operator === "==") return boolValue(left.value === right.value);
    if (operator === "!=") return boolValue(left.value !== right.value);
  }
  if (left.kind === "string" && right.kind === "string") {
    if (operator === "==") return boolValue(left.value === right.value);
    if (operator === "!=") return boolValue(left.value !== right.value);
  }
  const operands = [
    { value: left, span: expression.left.span },
    { value: right, span: expression.right.span },
  ];
  const wanted =
    operator === "and" || operator === "or" ? "bools" : operator === "@" ? "tensors" : "numbers or tensors";
  return a.fail(operandKinds(span, operator, operands, wanted));
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
