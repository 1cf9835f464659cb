import type { DataRequest } from "../../compiler/program/index.ts";
import type { KilnErrorKind } from "../errors.ts";
import type { MakerDescription, OpenOptions } from "./open.ts";
import type { Batch } from "./types.ts";

/** What the worker is started with. */
export interface WorkerStart {
  readonly request: DataRequest;
  readonly options: OpenOptions;
}

/** To the worker: make this batch. */
export interface MakeBatch {
  /** Numbers the requests: the same batch may be asked for again after a seek. */
  readonly id: number;
  readonly index: number;
}

/** From the worker: one `ready` or `failed` after the start, then one `batch` or `failed` for every `MakeBatch`. */
export type WorkerReply =
  | { readonly kind: "ready"; readonly maker: MakerDescription }
  | { readonly kind: "batch"; readonly id: number; readonly batch: Batch }
  | {
      readonly kind: "failed";
      /** The request; absent when the source could not be opened. */
      readonly id?: number;
      readonly error: { readonly kind: KilnErrorKind; readonly message: string; readonly hint?: string };
    };
