import type { Span } from "../diagnostics/index.ts";
import type { CallExpression, Expression, FnDeclaration } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { runBody } from "./bodies.ts";
import type { FileScope } from "./declarations.ts";
import { noForward, notCallable, unknownFunction } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { primitiveNames, primitives } from "./primitives.ts";
import { emptyScope, Scope } from "./scope.ts";
import { bindParameters, checkResults, type Given, leave } from "./signature.ts";
import { errorValue, type Instance, type Value } from "./value.ts";

/** A call of a sub-layer, a fn or loss, or a primitive: looked for in this order. */
export function evaluateCall(a: Analysis, call: CallExpression, env: Env, label: string | undefined): Value {
  const { callee } = call;
  if (callee.kind !== "name") {
    const target = evaluate(a, callee, env);
    const given = evaluateArguments(a, call, env);
    return applyValue(a, target, callee, given, call.span, label);
  }
  const bound = env.scope.lookup(callee.text)?.value;
  if (bound?.kind === "instance" || bound?.kind === "repeated") {
    return applyValue(a, bound, callee, evaluateArguments(a, call, env), call.span, label);
  }
  const found = env.file.find(callee.text, callee.span);
  if (found?.declaration.kind === "fn" || found?.declaration.kind === "loss") {
    return callFn(a, found.declaration, found.scope, evaluateArguments(a, call, env), call.span, env, label);
  }
  const primitive = primitives.get(callee.text);
  if (primitive !== undefined && (found === undefined || found.declaration.kind === "setting")) {
    return primitive(a, call, evaluateArguments(a, call, env), env, label ?? callee.text);
  }
  evaluateArguments(a, call, env);
  if (bound?.kind === "error") return errorValue;
  if (bound !== undefined) return a.fail(notCallable(callee.span, callee.text, bound));
  if (found !== undefined) return a.fail(notCallable(callee.span, callee.text, found.declaration));
  const known = [...env.scope.names(), ...env.file.namesOf("fn", "loss"), ...primitiveNames];
  return a.fail(unknownFunction(callee, known));
}

function evaluateArguments(a: Analysis, call: CallExpression, env: Env): readonly Given[] {
  return call.args.map((argument): Given => {
    const value = evaluate(a, argument.value, env);
    const span = argument.value.span;
    return argument.name === undefined ? { value, span } : { name: argument.name, value, span };
  });
}

function applyValue(
  a: Analysis,
  target: Value,
  callee: Expression,
  given: readonly Given[],
  span: Span,
  label: string | undefined,
): Value {
  switch (target.kind) {
    case "error":
      return errorValue;
    case "instance":
      return applyInstance(a, target.instance, given, span, label);
    case "repeated":
      return applyRepeated(a, target.instances, given, span, label);
    default:
      return a.fail(notCallable(callee.span, undefined, target));
  }
}

/** Runs a layer's forward on arguments. */
export function applyInstance(
  a: Analysis,
  instance: Instance,
  given: readonly Given[],
  span: Span,
  label: string | undefined,
): Value {
  const { forward } = instance;
  if (forward === undefined) return a.fail(noForward(span, instance.declaration));
  return a.nested(span, errorValue, () => {
    const name = instance.path.slice(instance.path.lastIndexOf(".") + 1);
    const env: Env = { scope: new Scope(instance.scope), file: instance.file, path: instance.path };
    const callee = instance.declaration.name.text;
    const bound = bindParameters(a, callee, forward.parameters, given, span, env);
    if (bound.failed) return errorValue;
    const values = runBody(a, callee, forward.body, env, label ?? name, forward.keywordSpan);
    if (values === undefined) return errorValue;
    return results(checkResults(a, callee, forward.results, values, forward.body.span, env, bound));
  });
}

/** Feeds the result of each instance to the next as its first argument; the other arguments go to all. */
function applyRepeated(
  a: Analysis,
  instances: readonly Instance[],
  given: readonly Given[],
  span: Span,
  label: string | undefined,
): Value {
  const [first, ...others] = given;
  if (first === undefined || first.name !== undefined) {
    const [instance] = instances;
    return instance === undefined ? errorValue : applyInstance(a, instance, given, span, label);
  }
  let value = first.value;
  for (const instance of instances) {
    value = applyInstance(a, instance, [{ value, span: first.span }, ...others], span, label);
    if (value.kind === "error") return value;
  }
  return value;
}

function callFn(
  a: Analysis,
  declaration: FnDeclaration,
  file: FileScope,
  given: readonly Given[],
  span: Span,
  caller: Env,
  label: string | undefined,
): Value {
  return a.nested(span, errorValue, () => {
    const callee = declaration.name.text;
    const env: Env = { scope: new Scope(emptyScope), file, path: caller.path };
    const bound = bindParameters(a, callee, declaration.parameters, given, span, env);
    if (bound.failed) return errorValue;
    const values = runBody(a, callee, declaration.body, env, label ?? callee, declaration.name.span);
    if (values === undefined) return errorValue;
    return results(checkResults(a, callee, declaration.results, values, declaration.body.span, env, bound));
  });
}

function results(values: readonly Value[]): Value {
  const left = values.map(leave);
  const [only] = left;
  if (only !== undefined && left.length === 1) return only;
  return { kind: "tuple", elements: left };
}
