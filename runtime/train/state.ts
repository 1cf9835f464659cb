import type { Program, ProgramParameter } from "../../compiler/program/index.ts";
import { type Checkpoint, type StoredTensor, slotTensorName, stateTensorName } from "../checkpoint/index.ts";
import { KilnError } from "../errors.ts";
import { type DeviceMemory, elementsOf, skippedBuffer, stepBuffer } from "../memory/index.ts";

/** A place in device memory and the name its contents have in a checkpoint. */
interface StatePlace {
  readonly name: string;
  readonly dtype: "F32" | "U32";
  readonly shape: readonly number[];
  readonly buffer: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Parameters, then their slots: the tensors that a checkpoint of the program always has. */
function parameterPlaces(parameter: ProgramParameter): {
  readonly value: StatePlace;
  readonly slots: readonly StatePlace[];
} {
  const place = (name: string, buffer: string): StatePlace => ({
    name,
    dtype: "F32",
    shape: parameter.shape,
    buffer,
    offsetBytes: parameter.offsetBytes,
    sizeBytes: 4 * elementsOf(parameter),
  });
  return {
    value: place(parameter.name, parameter.buffer),
    slots: Object.entries(parameter.slots).map(([slot, buffer]) =>
      place(slotTensorName(parameter.name, slot), buffer),
    ),
  };
}

/** State buffers that hold neither parameters nor slots (step, seed, gradients being accumulated), as raw words. */
function otherPlaces(program: Program): readonly StatePlace[] {
  const known = new Set(
    program.parameters.flatMap((parameter) => [parameter.buffer, ...Object.values(parameter.slots)]),
  );
  return program.buffers
    .filter((buffer) => buffer.role === "state" && !known.has(buffer.name))
    .map((buffer) => ({
      name: stateTensorName(buffer.name),
      dtype: "U32",
      shape: [buffer.sizeBytes / 4],
      buffer: buffer.name,
      offsetBytes: 0,
      sizeBytes: buffer.sizeBytes,
    }));
}

/** The whole state of a program in memory as tensors that are read from the device when they are written. */
export async function stateTensors(
  program: Program,
  memory: DeviceMemory,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  const add = ({ name, dtype, shape, buffer, offsetBytes, sizeBytes }: StatePlace) => {
    tensors.set(name, { dtype, shape, read: () => memory.read(buffer, offsetBytes, sizeBytes) });
  };
  const places = program.parameters.map(parameterPlaces);
  for (const { value } of places) add(value);
  for (const { slots } of places) for (const slot of slots) add(slot);
  // What is zero is what a loaded program starts from anyway: gradients between steps need no room on disk.
  for (const place of otherPlaces(program))
    if (memory.has(place.buffer) && !(await isZero(memory, place))) add(place);
  return tensors;
}

async function isZero(memory: DeviceMemory, place: StatePlace): Promise<boolean> {
  for await (const piece of memory.read(place.buffer, place.offsetBytes, place.sizeBytes)) {
    if (new Uint32Array(piece.buffer, piece.byteOffset, piece.byteLength / 4).some((word) => word !== 0))
      return false;
  }
  return true;
}

/**
 * Puts a checkpoint's tensors into a program's fresh (all zero) memory.
 * @param what `parameters` for encoding, `everything` to go on training
 * @returns how many steps of the run were skipped: 0 for a checkpoint that does not count them
 * @throws KilnError `user` when the checkpoint is of another model or optimizer
 */
export async function restoreState(
  program: Program,
  memory: DeviceMemory,
  checkpoint: Checkpoint,
  what: "parameters" | "everything",
): Promise<number> {
  const places = program.parameters.map(parameterPlaces);
  const values = places.map(({ value }) => value);
  const slots = places.flatMap((place) => place.slots);
  checkParameters(program, values, checkpoint);
  if (what === "everything") checkSlots(slots, checkpoint);
  // A checkpoint of a run without loss scaling has no scale to go on with.
  if (what === "everything") memory.initializeLossScale();
  for (const place of what === "everything" ? [...values, ...slots, ...otherPlaces(program)] : values) {
    const tensor = checkpoint.tensors.get(place.name);
    if (tensor === undefined || !memory.has(place.buffer)) continue;
    if (!sameShape(tensor, place)) throw otherShape(place, tensor, checkpoint);
    await fill(memory, place, checkpoint);
  }
  const skipped = await skippedSteps(checkpoint);
  // The optimizer's step: it does not count the steps that changed nothing.
  if (what === "everything" && memory.has(stepBuffer))
    memory.write(stepBuffer, 0, Int32Array.of(checkpoint.step - skipped));
  return skipped;
}

/** What a run starts with from a checkpoint of another model: names of parameters. */
export interface InitReport {
  /** Taken from the checkpoint. */
  readonly taken: readonly string[];
  /** Drawn: the checkpoint has not got them. */
  readonly fresh: readonly string[];
  /** In the checkpoint, and of no use to the model. */
  readonly unused: readonly string[];
}

/**
 * Puts those parameters of a checkpoint into a program's memory, filled already, that have the name of one of the program's.
 * @throws KilnError `user` where none has, and for one with another shape
 */
export async function startFrom(
  program: Program,
  memory: DeviceMemory,
  checkpoint: Checkpoint,
): Promise<InitReport> {
  const places = program.parameters.map((parameter) => parameterPlaces(parameter).value);
  const taken = places.filter(({ name }) => checkpoint.tensors.has(name));
  if (taken.length === 0) {
    throw new KilnError(
      "user",
      `${checkpoint.path} has no parameter of \`${program.name}\` to start from`,
      "parameters are found by their names: `encoder.token.weight`, for instance",
    );
  }
  for (const place of taken) {
    const tensor = checkpoint.tensors.get(place.name);
    if (tensor !== undefined && !sameShape(tensor, place))
      throw otherShape(
        place,
        tensor,
        checkpoint,
        "give the spec the sizes of the model to start from, with --set",
      );
  }
  for (const place of taken) if (memory.has(place.buffer)) await fill(memory, place, checkpoint);
  const known = new Set(places.map(({ name }) => name));
  const names = taken.map(({ name }) => name);
  return {
    taken: names,
    fresh: [...known].filter((name) => !names.includes(name)),
    unused: [...checkpoint.tensors.keys()].filter((name) => !name.includes("@") && !known.has(name)),
  };
}

/** Copies a tensor of the checkpoint, if it is there, to its place. */
async function fill(memory: DeviceMemory, place: StatePlace, checkpoint: Checkpoint): Promise<void> {
  let at = place.offsetBytes;
  for await (const piece of checkpoint.tensors.get(place.name)?.read() ?? []) {
    memory.write(place.buffer, at, piece);
    at += piece.length;
  }
}

async function skippedSteps(checkpoint: Checkpoint): Promise<number> {
  const tensor = checkpoint.tensors.get(stateTensorName(skippedBuffer));
  if (tensor === undefined) return 0;
  for await (const piece of tensor.read())
    return new DataView(piece.buffer, piece.byteOffset, piece.byteLength).getInt32(0, true);
  return 0;
}

function sameShape(tensor: StoredTensor, place: StatePlace): boolean {
  return (
    tensor.dtype === place.dtype &&
    tensor.shape.length === place.shape.length &&
    tensor.shape.every((size, axis) => size === place.shape[axis])
  );
}

function otherShape(
  place: StatePlace,
  tensor: StoredTensor,
  checkpoint: Checkpoint,
  hint = modelHint,
): KilnError {
  return new KilnError(
    "user",
    `\`${place.name}\` is ${place.dtype}[${place.shape.join(", ")}] in the spec and ${tensor.dtype}[${tensor.shape.join(", ")}] in ${checkpoint.path}`,
    hint,
  );
}

const modelHint = "use the spec and the --set values that the checkpoint was trained with";

/** Names and shapes of all parameters at once: a person wants to see all that differs. */
function checkParameters(program: Program, values: readonly StatePlace[], checkpoint: Checkpoint): void {
  const wanted = new Set(values.map((place) => place.name));
  const missing = values.filter((place) => !checkpoint.tensors.has(place.name)).map((place) => place.name);
  const surplus = [...checkpoint.tensors.keys()].filter((name) => !name.includes("@") && !wanted.has(name));
  if (missing.length > 0 || surplus.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`it has no ${list(missing)}`] : []),
      ...(surplus.length > 0 ? [`the spec has no ${list(surplus)}`] : []),
    ];
    throw new KilnError(
      "user",
      `${checkpoint.path} is a checkpoint of another model than \`${program.name}\`: ${parts.join("; ")}`,
      modelHint,
    );
  }
  for (const place of values) {
    const tensor = checkpoint.tensors.get(place.name);
    if (tensor !== undefined && !sameShape(tensor, place)) throw otherShape(place, tensor, checkpoint);
  }
}

function checkSlots(slots: readonly StatePlace[], checkpoint: Checkpoint): void {
  const wanted = new Set(slots.map((place) => place.name));
  const missing = slots.filter((place) => !checkpoint.tensors.has(place.name));
  const surplus = [...checkpoint.tensors.keys()].filter((name) => name.indexOf("@") > 0 && !wanted.has(name));
  const [first] = missing.length > 0 ? missing.map((place) => place.name) : surplus;
  if (first === undefined) return;
  if (![...checkpoint.tensors.keys()].some((name) => name.includes("@"))) {
    throw new KilnError(
      "user",
      `${checkpoint.path} holds parameters alone, no state of an optimizer: there is no run to go on with`,
      `start a run from it: --init ${checkpoint.path}`,
    );
  }
  throw new KilnError(
    "user",
    `${checkpoint.path} was trained with another optimizer: \`${first}\` is ${missing.length > 0 ? "missing from it" : "unknown to the spec"}`,
    "resume with the optimizer that the checkpoint was trained with",
  );
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => `\`${name}\``);
  return shown.join(", ") + (names.length > shown.length ? ` and ${names.length - shown.length} more` : "");
}
