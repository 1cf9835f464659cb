import type { OpName } from "../types.ts";
import * as elementwise from "./elementwise.ts";
import * as leaf from "./leaf.ts";
import * as movement from "./movement.ts";
import type { OpDef } from "./op-def.ts";
import * as random from "./random.ts";
import * as reduction from "./reduction.ts";
import * as storage from "./storage.ts";

export type OpTable = { readonly [K in OpName]: OpDef<K> };

/** Every op: summary, type rule, gradient, reference evaluation, lowering. */
export const ops: OpTable = {
  ...leaf,
  ...random,
  ...elementwise,
  ...movement,
  ...reduction,
  ...storage,
};
