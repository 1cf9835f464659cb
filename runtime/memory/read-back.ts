import { bufferUsage, type KilnDevice, mapModeRead, patiently } from "../device/index.ts";
import { KilnError, messageOf } from "../errors.ts";

/** One range to bring back, in the order of the call. */
export interface CopyRange {
  readonly source: GPUBuffer;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Where a submit's results will arrive. */
export interface PendingRead {
  /** The bytes of the ranges, one array each, once the work submitted so far is done. */
  readonly bytes: Promise<readonly Uint8Array<ArrayBuffer>[]>;
}

interface Staging {
  readonly buffer: GPUBuffer;
  readonly sizeBytes: number;
}

/**
 * A ring of mapped buffers: results of a submit are copied into one that is free and read when they are there, so that
 * no submit waits for the one before. It grows with the number of reads under way and is then reused.
 */
export class ReadBackRing {
  readonly #kiln: KilnDevice;
  readonly #free: Staging[] = [];
  readonly #all = new Set<Staging>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(kiln: KilnDevice) {
    this.#kiln = kiln;
  }

  get sizeBytes(): number {
    let total = 0;
    for (const staging of this.#all) total += staging.sizeBytes;
    return total;
  }

  /** Encodes the copies; the caller then finishes the encoder, submits it and at once calls `after`. */
  encode(encoder: GPUCommandEncoder, ranges: readonly CopyRange[]): { after(): PendingRead } {
    const sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0);
    const staging = this.#take(Math.max(4, sizeBytes));
    let at = 0;
    for (const range of ranges) {
      encoder.copyBufferToBuffer(range.source, range.offsetBytes, staging.buffer, at, range.sizeBytes);
      at += range.sizeBytes;
    }
    return {
      after: () => {
        const bytes = this.#read(staging, ranges);
        this.#last = bytes.catch(() => undefined);
        return { bytes };
      },
    };
  }

  async #read(staging: Staging, ranges: readonly CopyRange[]): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    // One at a time and in order, as the device does the work: waiting for all at once would only cost more.
    await this.#last;
    this.#kiln.throwIfFailed();
    try {
      await patiently(this.#kiln, staging.buffer.mapAsync(mapModeRead));
    } catch (thrown) {
      this.#kiln.throwIfFailed();
      throw new KilnError("machine", `results could not be read back: ${messageOf(thrown)}`);
    }
    const mapped = new Uint8Array(staging.buffer.getMappedRange());
    let at = 0;
    const pieces = ranges.map((range) => {
      const piece = mapped.slice(at, at + range.sizeBytes);
      at += range.sizeBytes;
      return piece;
    });
    staging.buffer.unmap();
    this.#free.push(staging);
    return pieces;
  }

  #take(sizeBytes: number): Staging {
    const fitting = this.#free.findIndex((staging) => staging.sizeBytes >= sizeBytes);
    const [found] = fitting < 0 ? [] : this.#free.splice(fitting, 1);
    if (found !== undefined) return found;
    const buffer = this.#kiln.device.createBuffer({
      label: "read-back",
      size: sizeBytes,
      usage: bufferUsage.mapRead | bufferUsage.copyDestination,
    });
    const staging = { buffer, sizeBytes };
    this.#all.add(staging);
    return staging;
  }

  destroy(): void {
    for (const staging of this.#all) staging.buffer.destroy();
    this.#all.clear();
    this.#free.length = 0;
  }
}
