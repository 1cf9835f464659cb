import { elementCount, range } from "../../graph/index.ts";
import { any, node, splatOf, unary } from "../pattern.ts";
import { type Rule, rule } from "../rule.ts";

/** Flat storage: what `training` packs parameters and gradients into. */
export const storageRules: readonly Rule[] = [
  rule({
    name: "pack(reshape(x)) = pack(x)",
    exactness: "bitwise",
    match: node("pack"),
    rewrite: (b, { inputs, attrs }) => {
      const sources = inputs.map((id) => {
        const found = b.node(id);
        return found.op === "reshape" ? found.inputs[0]! : id;
      });
      return sources.every((id, index) => id === inputs[index])
        ? null
        : b.pack(sources, attrs.offsets, attrs.size);
    },
  }),
  rule({
    name: "pack(x, 0) = pack(x)",
    exactness: "bitwise",
    match: node("pack"),
    rewrite: (b, { inputs, attrs, type }) => {
      const filled = range(inputs.length).filter((index) => splatOf(b, inputs[index]!)?.value !== 0);
      if (filled.length === inputs.length) return null;
      if (filled.length === 0) return b.full(type.dtype, 0, type.shape);
      return b.pack(
        filled.map((index) => inputs[index]!),
        filled.map((index) => attrs.offsets[index]!),
        attrs.size,
      );
    },
  }),
  rule({
    name: "view(x, 0, all) = reshape(x)",
    exactness: "bitwise",
    match: unary("view", any),
    rewrite: (b, { node, x }) =>
      elementCount(node.attrs.shape) === b.shape(x)[0] ? b.reshape(x, node.attrs.shape) : null,
  }),
];
