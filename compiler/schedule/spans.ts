import { elementCount, elementSizeBytes, type NodeId, type TensorType } from "../graph/index.ts";
import type { BuildContext } from "./kernels.ts";
import type { Home } from "./tensors.ts";

/** Elements `first` .. `end - 1` of what `base` names: a buffer, or a tensor whose place in an arena is not known yet. */
export interface Location {
  readonly base: string;
  readonly first: number;
  readonly end: number;
}

export function overlap(a: Location, b: Location): boolean {
  return a.base === b.base && a.first < b.end && b.first < a.end;
}

/** How equal kernels reach the tensors of one parameter: `tensor[offset + i * stride + index]` for kernel i. */
export interface Access {
  readonly tensor: number;
  readonly offset: number;
  readonly stride: number;
}

/**
 * Lets several tensors be bound as one: those that lie at equal distances in a buffer already, and arena tensors that nothing
 * ties to another place, which are then laid out side by side.
 */
export class Spans {
  readonly #context: BuildContext;
  /** Elements of any type. */
  readonly #largest: number;
  readonly #alignmentBytes: number;
  readonly #known = new Map<string, number>();
  readonly #viewed: ReadonlySet<NodeId>;
  #nextId: number;

  constructor(context: BuildContext) {
    this.#context = context;
    const { work, profile, extraTensors } = context;
    this.#largest = Math.min(profile.maxBufferSize, profile.maxStorageBufferBindingSize) / 4;
    this.#alignmentBytes = Math.max(16, profile.minStorageBufferOffsetAlignment);
    this.#viewed = new Set(
      work.nodes.flatMap((node) => (node.op === "view" ? [work.stripReshapes(node.inputs[0]!)] : [])),
    );
    this.#nextId = Math.min(0, ...extraTensors.keys()) - 1;
  }

  typeOf(tensor: number): TensorType {
    return this.#context.extraTensors.get(tensor)?.type ?? this.#context.work.node(tensor).type;
  }

  locationOf(tensor: number): Location {
    const home = this.#context.homes.homeOf(tensor);
    const first = home.kind === "arena" ? 0 : home.offset;
    const base = home.kind === "arena" ? `arena ${tensor}` : baseOf(home);
    return { base, first, end: first + elementCount(this.typeOf(tensor).shape) };
  }

  /** Why the parameters of equal kernels cannot be reached from one another's, if they cannot. */
  obstacle(parameters: readonly (readonly number[])[]): string | undefined {
    const layout = this.#layoutOf(parameters);
    return typeof layout === "string" ? layout : undefined;
  }

  /**
   * The access of each parameter of equal kernels, or why there is none; tensors without a place get one beside each other.
   * @param parameters for each parameter, its tensor in every kernel
   */
  accesses(parameters: readonly (readonly number[])[]): readonly Access[] | string {
    const layout = this.#layoutOf(parameters);
    if (typeof layout === "string") return layout;
    return layout.plans.map((plan): Access => {
      switch (plan.kind) {
        case "same":
          return { tensor: plan.tensor, offset: 0, stride: 0 };
        case "fixed": {
          const hull = layout.hulls.find((other) => overlap(other, plan.location))!;
          return {
            tensor: this.#spanOver(hull, plan.homes[0]!),
            offset: plan.homes[0]!.offset - hull.first,
            stride: plan.stride,
          };
        }
        case "beside":
          return { tensor: this.#layBeside(plan), offset: 0, stride: plan.stride };
        default:
          return plan satisfies never;
      }
    });
  }

  #layoutOf(
    parameters: readonly (readonly number[])[],
  ): { readonly plans: readonly Plan[]; readonly hulls: readonly Hull[] } | string {
    const plans: Plan[] = [];
    for (const tensors of parameters) {
      const plan = this.#planOf(tensors);
      if (typeof plan === "string") return plan;
      plans.push(plan);
    }
    const beside = plans.flatMap((plan) => (plan.kind === "beside" ? plan.tensors : []));
    if (new Set(beside).size < beside.length) return "a tensor would lie in two places";
    // Two spans that interleave become one: WebGPU refuses writable bindings that overlap.
    const hulls: Hull[] = [];
    for (const plan of plans) {
      if (plan.kind !== "fixed") continue;
      let hull: Hull = { ...plan.location, dtype: plan.dtype };
      for (let i = hulls.length - 1; i >= 0; i--) {
        const other = hulls[i]!;
        if (!overlap(hull, other)) continue;
        if (other.dtype !== hull.dtype) return "tensors of two types interleave";
        hull = {
          ...hull,
          first: Math.min(hull.first, other.first),
          end: Math.max(hull.end, other.end),
        };
        hulls.splice(i, 1);
        i = hulls.length;
      }
      hulls.push(hull);
    }
    if (hulls.some((hull) => hull.end - hull.first > this.#largest)) return "the tensors lie too far apart";
    const shared = plans.flatMap((plan) => (plan.kind === "same" ? [this.locationOf(plan.tensor)] : []));
    if (hulls.some((hull) => shared.some((at) => overlap(hull, at))))
      return "a tensor that all read lies among those that differ";
    return { plans, hulls };
  }

  #planOf(tensors: readonly number[]): Plan | string {
    const [first, ...rest] = tensors;
    if (first === undefined || rest.every((tensor) => tensor === first))
      return { kind: "same", tensor: first! };
    if (new Set(tensors).size < tensors.length) return "some share a tensor that others do not";
    const type = this.typeOf(first);
    const count = elementCount(type.shape);
    if (rest.some((t) => elementCount(this.typeOf(t).shape) !== count || this.typeOf(t).dtype !== type.dtype))
      return "the tensors differ in size";
    const homes: FixedHome[] = [];
    for (const tensor of tensors) {
      const home = this.#context.homes.homeOf(tensor);
      if (home.kind !== "arena") homes.push(home);
    }
    if (homes.length === 0) {
      const alignment = this.#alignmentBytes / elementSizeBytes(type.dtype);
      const stride = Math.ceil(count / alignment) * alignment;
      const { occupied } = this.#context;
      if (tensors.some((tensor) => this.#viewed.has(tensor) || occupied.has(tensor)))
        return "one of the tensors has views";
      if (stride * tensors.length > this.#largest) return "the tensors do not fit into one buffer";
      return { kind: "beside", tensors, stride, type };
    }
    if (homes.length < tensors.length) return "the tensors lie in different buffers";
    const base = baseOf(homes[0]!);
    const stride = homes[1]!.offset - homes[0]!.offset;
    if (homes.some((home) => baseOf(home) !== base)) return "the tensors lie in different buffers";
    if (homes.some((home, i) => home.offset !== homes[0]!.offset + i * stride))
      return "the tensors do not lie at equal distances";
    const offsets = homes.map((home) => home.offset);
    const location = { base, first: Math.min(...offsets), end: Math.max(...offsets) + count };
    return { kind: "fixed", homes, stride, location, dtype: type.dtype };
  }

  #layBeside({ tensors, stride, type }: Extract<Plan, { kind: "beside" }>): number {
    const { homes } = this.#context;
    const whole = this.#newTensor(type, stride * tensors.length, tensors[0]!);
    tensors.forEach((tensor, i) => {
      homes.place(tensor, { kind: "piece", of: whole, offset: i * stride });
    });
    const span: Hull = { base: `arena ${whole}`, first: 0, end: stride * tensors.length, dtype: type.dtype };
    return this.#spanOver(span, { kind: "piece", of: whole, offset: 0 });
  }

  #spanOver(hull: Hull, like: FixedHome): number {
    const key = `${hull.base}:${hull.first}:${hull.end}:${hull.dtype}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const type: TensorType = { dtype: hull.dtype, shape: [] };
    const span = this.#newTensor(type, hull.end - hull.first, undefined);
    this.#context.homes.place(span, { ...like, offset: hull.first });
    this.#known.set(key, span);
    return span;
  }

  #newTensor(type: TensorType, count: number, named: number | undefined): number {
    const { work, extraTensors } = this.#context;
    const id = this.#nextId--;
    const label = named === undefined || named < 0 ? "tensors" : `${work.node(named).origin.label}s`;
    extraTensors.set(id, { id, label, type: { dtype: type.dtype, shape: [count] } });
    return id;
  }
}

type FixedHome = Exclude<Home, { readonly kind: "arena" }>;
type Hull = Location & { readonly dtype: TensorType["dtype"] };

type Plan =
  | { readonly kind: "same"; readonly tensor: number }
  | {
      readonly kind: "fixed";
      readonly homes: readonly FixedHome[];
      readonly stride: number;
      readonly location: Location;
      readonly dtype: TensorType["dtype"];
    }
  | {
      readonly kind: "beside";
      readonly tensors: readonly number[];
      readonly stride: number;
      readonly type: TensorType;
    };

function baseOf(home: FixedHome): string {
  switch (home.kind) {
    case "input":
    case "state":
      return `${home.kind} ${home.name}`;
    case "packed":
      return `packed ${home.pack}`;
    case "piece":
      return `arena ${home.of}`;
    default:
      return home satisfies never;
  }
}
