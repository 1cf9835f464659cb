import { formatType } from "./shape.ts";
import type { Graph, Node } from "./types.ts";

export interface PrintOptions {
  /** Whether each line ends with where its node comes from: `# pass path label at`. Without, the text is shorter
   * and `parse` gives every node the origin it is told. */
  readonly origins: boolean;
}

/**
 * Readable text, one line a node. The same graph always prints the same; `parse` reads it back.
 *
 *     %2 = broadcast(%1) axes=[] shape=[2, 3] : f32[2, 3]  # elaborate encoder.norm eps lib/transformer.bert:12:9
 *     output loss.mlm = %2
 *     update step = %1
 */
export function print(graph: Graph, options: PrintOptions): string {
  const lines = [
    ...graph.nodes.map((node) => printNode(node, options)),
    ...graph.outputs.map(({ name, node }) => `output ${word(name)} = %${node}`),
    ...graph.updates.map(({ state, node }) => `update ${word(state)} = %${node}`),
  ];
  return lines.map((line) => line + "\n").join("");
}

function printNode(node: Node, { origins }: PrintOptions): string {
  const attrs = Object.entries(node.attrs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ` ${name}=${printValue(value)}`);
  const inputs = node.inputs.map((id) => `%${id}`).join(", ");
  const text = `%${node.id} = ${node.op}(${inputs})${attrs.join("")} : ${formatType(node.type)}`;
  if (!origins) return text;
  const { pass, path, label, at } = node.origin;
  return `${text}  # ${[pass, path, label, at].map(word).join(" ")}`;
}

function printValue(value: number | string | readonly number[]): string {
  if (typeof value === "string") return word(value);
  if (typeof value === "number") return printNumber(value);
  return `[${value.map(printNumber).join(", ")}]`;
}

function printNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Bare where it reads back as one word, else a JSON string. */
function word(text: string): string {
  return /^[A-Za-z_][\w.:/-]*$/.test(text) ? text : JSON.stringify(text);
}
