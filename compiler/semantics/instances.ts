import type { Span } from "../diagnostics/index.ts";
import type { ForwardItem, LayerDeclaration, LayerItem, ParamItem, UseBinding } from "../syntax/index.ts";
import type { Analysis, Env } from "./analysis.ts";
import { checkRequire } from "./bodies.ts";
import type { FileScope } from "./declarations.ts";
import { dimensionSize } from "./dimensions.ts";
import {
  duplicateName,
  forwardTwice,
  notALayer,
  parameterDtype,
  repeatCount,
  tensorTooLarge,
  unknownLayer,
} from "./errors.ts";
import { evaluate, evaluateCondition } from "./evaluate.ts";
import { evaluateInitializer } from "./initializers.ts";
import { limits } from "./limits.ts";
import { exactInt } from "./numbers.ts";
import { emptyScope, Scope } from "./scope.ts";
import { bindParameters, type Given } from "./signature.ts";
import { type Dim, errorValue, type Instance, type Value } from "./value.ts";

/**
 * Makes a layer with its settings fixed: checks its `require`s, makes its parameters and sub-layers.
 * @returns undefined where its settings are wrong, which is reported
 */
export function instantiate(
  a: Analysis,
  declaration: LayerDeclaration,
  file: FileScope,
  given: readonly Given[],
  path: string,
  span: Span,
): Instance | undefined {
  return a.nested(span, undefined, () => {
    if (!a.countInstance(span)) return undefined;
    const scope = new Scope(emptyScope);
    const env: Env = { scope, file, path };
    const bound = bindParameters(a, declaration.name.text, declaration.parameters, given, span, env);
    if (bound.failed) return undefined;
    const forwards: ForwardItem[] = [];
    runItems(a, declaration.items, env, forwards);
    const [forward, second] = forwards;
    if (forward !== undefined && second !== undefined) a.report(forwardTwice(second, forward));
    return { declaration, path, scope, forward, file };
  });
}

function runItems(a: Analysis, items: readonly LayerItem[], env: Env, forwards: ForwardItem[]): void {
  for (const item of items) {
    if (a.stopped) return;
    switch (item.kind) {
      case "param":
        defineParameter(a, item, env);
        break;
      case "use":
        for (const binding of item.bindings) defineUse(a, binding, env);
        break;
      case "require":
        checkRequire(a, item, env);
        break;
      case "const":
        define(a, env, item.name.text, evaluate(a, item.value, env), item.name.span);
        break;
      case "forward":
        forwards.push(item);
        break;
      case "if": {
        const condition = evaluateCondition(a, item.condition, env);
        if (condition === undefined) break;
        a.nested(item.span, undefined, () =>
          runItems(a, condition ? item.then : item.otherwise, env, forwards),
        );
        break;
      }
      default:
        item satisfies never;
    }
  }
}

function define(a: Analysis, env: Env, name: string, value: Value, span: Span): void {
  a.observe?.(span, env.path, value);
  const known = env.scope.define(name, value, span);
  if (known !== undefined) a.report(duplicateName(name, span, known.span));
}

function defineParameter(a: Analysis, item: ParamItem, env: Env): void {
  define(a, env, item.name.text, makeParameter(a, item, env), item.name.span);
}

function makeParameter(a: Analysis, item: ParamItem, env: Env): Value {
  const { type } = item;
  if (type.kind === "errorType") return errorValue;
  if (type.dtype !== "f32") return a.fail(parameterDtype(type));
  const dims: Dim[] = [];
  for (const dimension of type.dims) {
    const dim = dimension.kind === "ellipsis" ? undefined : dimensionSize(a, dimension, env);
    if (dimension.kind === "ellipsis") a.report(parameterDtype(type));
    if (dim === undefined) return errorValue;
    dims.push(dim);
  }
  const shape = dims.map((d) => d.size);
  const init = evaluateInitializer(a, item.initializer, shape, env);
  if (shape.reduce((n, size) => n * size, 1) > limits.elements)
    return a.fail(tensorTooLarge(type.span, "f32", dims));
  const name = env.path === "" ? item.name.text : `${env.path}.${item.name.text}`;
  const value = a.emit({ op: "parameter", name }, [], "f32", dims, {
    path: env.path,
    span: item.span,
    label: item.name.text,
  });
  if (init !== undefined) a.parameters.push({ name, shape, init, span: item.span });
  return init === undefined ? errorValue : value;
}

function defineUse(a: Analysis, binding: UseBinding, env: Env): void {
  define(a, env, binding.name.text, makeUse(a, binding, env), binding.name.span);
}

function makeUse(a: Analysis, binding: UseBinding, env: Env): Value {
  const given = binding.args.map((argument): Given => {
    const value = evaluate(a, argument.value, env);
    const span = argument.value.span;
    return argument.name === undefined ? { value, span } : { name: argument.name, value, span };
  });
  const found = env.file.find(binding.layer.text, binding.layer.span);
  const path = env.path === "" ? binding.name.text : `${env.path}.${binding.name.text}`;
  if (found === undefined) return a.fail(unknownLayer(binding.layer, env.file.namesOf("layer", "model")));
  if (found.declaration.kind !== "layer") return a.fail(notALayer(binding.layer, found.declaration));
  const { declaration, scope: file } = found;
  if (binding.repeat === undefined) {
    const instance = instantiate(a, declaration, file, given, path, binding.span);
    return instance === undefined ? errorValue : { kind: "instance", instance };
  }
  const counted = evaluate(a, binding.repeat, env);
  if (counted.kind === "error") return errorValue;
  const count = exactInt(counted);
  if (count === undefined || count < 1 || count > limits.repeat) {
    return a.fail(repeatCount(binding.repeat.span, counted, limits.repeat));
  }
  const instances: Instance[] = [];
  for (let i = 0; i < count; i++) {
    const instance = instantiate(a, declaration, file, given, `${path}.${i}`, binding.span);
    if (instance === undefined) return errorValue;
    instances.push(instance);
  }
  return { kind: "repeated", path, instances };
}
