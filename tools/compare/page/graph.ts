import { Graph, layout } from "@dagrejs/dagre";
import type { DataFlow } from "../../../compiler/schedule/index.ts";
import { formatDuration } from "../../terminal/units.ts";
import type { PageSide } from "./content.ts";
import { escapeMarkup, selects, shortened } from "./markup.ts";

const nodeWidth = 190;
const nodeHeight = 40;
const margin = 12;
/** Characters of 11 px monospaced type that a node is wide. */
const nameLength = 25;
/**
 * Edges over more layers are drawn straight and have no say in the layout: a step's backward half reads what its forward
 * half has kept, and a route of its own in every layer between would take minutes to find and hide all else.
 */
const longestRouted = 6;

/**
 * The kernels of a step and what passes between them, top down in layers. A bar in each kernel's box is as long as its
 * share of the slowest kernel's time.
 */
export function graphSvg(side: PageSide): string {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 14, ranksep: 26, edgesep: 6, marginx: margin, marginy: margin });
  graph.setDefaultEdgeLabel(() => ({}));
  side.kernels.forEach((_, at) => {
    graph.setNode(String(at), { width: nodeWidth, height: nodeHeight });
  });
  const layers = layersOf(side);
  const isLong = ({ producer, consumer }: DataFlow): boolean =>
    (layers[consumer] ?? 0) - (layers[producer] ?? 0) > longestRouted;
  for (const flow of side.flows)
    if (!isLong(flow)) graph.setEdge(String(flow.producer), String(flow.consumer));
  layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  const slowest = Math.max(...side.kernels.map(({ ms }) => ms ?? 0));
  const edges = side.flows.map((flow) => {
    const { producer, consumer, tensors, reason } = flow;
    const [from, to] = [graph.node(String(producer)), graph.node(String(consumer))];
    const path = isLong(flow)
      ? arc(from, to)
      : curve(graph.edge(String(producer), String(consumer)).points ?? []);
    const title = `${tensors.join(", ")}: ${producer} to ${consumer}; not one kernel: ${reason}`;
    return `<path class="edge${isLong(flow) ? " long" : ""}" data-edge="${producer} ${consumer}" d="${path}"><title>${escapeMarkup(title)}</title></path>`;
  });
  const nodes = side.kernels.map((kernel, at) => {
    const { x = 0, y = 0 } = graph.node(String(at));
    const bar = slowest > 0 ? ((kernel.ms ?? 0) / slowest) * (nodeWidth - 8) : 0;
    const time = kernel.ms === null ? "" : formatDuration(kernel.ms);
    const title = `${at} ${kernel.name}, ${kernel.kind} ${kernel.shape}${kernel.path === "" ? "" : `, ${kernel.path}`}`;
    return [
      `<g class="node ${kernel.kind}" ${selects(side.name, at)} tabindex="0" role="button" transform="translate(${round(x - nodeWidth / 2)} ${round(y - nodeHeight / 2)})">`,
      `<title>${escapeMarkup(title)}</title>`,
      `<rect width="${nodeWidth}" height="${nodeHeight}" rx="5"/>`,
      `<text x="7" y="15" class="name">${escapeMarkup(shortened(kernel.name, nameLength))}</text>`,
      `<text x="7" y="29" class="detail">${at}</text>`,
      `<text x="30" y="29" class="detail">${escapeMarkup(shortened(kernel.path.split(".").slice(-2).join("."), 17))}</text>`,
      `<text x="${nodeWidth - 7}" y="29" class="detail end">${time}</text>`,
      `<rect class="bar" x="4" y="${nodeHeight - 6}" width="${round(bar)}" height="3" rx="1"/>`,
      "</g>",
    ].join("");
  });
  return `<svg class="graph" viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}" xmlns="http://www.w3.org/2000/svg">${edges.join("")}${nodes.join("")}</svg>`;
}

interface Point {
  readonly x?: number;
  readonly y?: number;
}

/** The longest way from a kernel that reads nothing of the step, counted in kernels. */
function layersOf({ kernels, flows }: PageSide): readonly number[] {
  const layers = kernels.map(() => 0);
  // Ascending by consumer: a producer's layer is final before it is read.
  for (const { producer, consumer } of flows)
    layers[consumer] = Math.max(layers[consumer] ?? 0, (layers[producer] ?? 0) + 1);
  return layers;
}

/** From one kernel straight to a distant one, behind all between. */
function arc(from: Point, to: Point): string {
  const [x1, y1] = [from.x ?? 0, (from.y ?? 0) + nodeHeight / 2];
  const [x2, y2] = [to.x ?? 0, (to.y ?? 0) - nodeHeight / 2];
  const bend = Math.min(120, Math.abs(y2 - y1) / 2) * Math.sign(y2 - y1 || 1);
  return `M${round(x1)} ${round(y1)}C${round(x1)} ${round(y1 + bend)} ${round(x2)} ${round(y2 - bend)} ${round(x2)} ${round(y2)}`;
}

/** Through the middles between the layout's points, bending at the points. */
function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const [first, ...rest] = points;
  const last = rest.pop();
  if (first === undefined || last === undefined) return "";
  const bends = rest.map((point, i) => {
    const next = rest[i + 1] ?? last;
    const end = i === rest.length - 1 ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${round(point.x)} ${round(point.y)} ${round(end.x)} ${round(end.y)}`;
  });
  const start = `M${round(first.x)} ${round(first.y)}`;
  return bends.length > 0 ? start + bends.join("") : `${start}L${round(last.x)} ${round(last.y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
