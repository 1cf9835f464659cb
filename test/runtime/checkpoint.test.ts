import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  blobSource,
  type CheckpointContents,
  encodeHeader,
  loadCheckpoint,
  parseHeader,
  readCheckpoint,
  readTensorFile,
  type StoredTensor,
  saveCheckpoint,
  verifyChecksum,
  writeCheckpoint,
  writeTensorFile,
} from "../../runtime/checkpoint/index.ts";
import { KilnError } from "../../runtime/errors.ts";
import { uncasedWordPiece } from "../../runtime/tokenizer/index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-checkpoint-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A tensor that gives its bytes in pieces of the given size. */
function stored(
  dtype: StoredTensor["dtype"],
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
  piece = 5,
): StoredTensor {
  return {
    dtype,
    shape,
    async *read() {
      for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
    },
  };
}

async function bytesOf(tensor: StoredTensor | undefined): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of tensor?.read() ?? []) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

async function failure(work: () => Promise<unknown>): Promise<KilnError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof KilnError) return thrown;
    throw thrown;
  }
  throw new Error("it should have failed");
}

function contents(step: number): CheckpointContents {
  const values = Float32Array.of(1.5, -2, step, Number.NaN, 0, 1e-40);
  return {
    step,
    seed: 4_294_967_295,
    programName: "Small",
    programHash: "ab12",
    data: { kind: "PretrainingPairs", settings: { batch: 32, corpus: "wikitext-2" } },
    sources: [{ path: "models/bert.bert", text: 'setting a: string = "\u{1F525} \\" \n"' }],
    overrides: { vocab: "8000" },
    memoryBytes: 2 ** 31,
    tuning: { "map 64 #0123456789abcdef": "4 vectors an invocation, workgroups of 16" },
    vocabulary: ["<unk>", "\uFEFF", '"sha256":"', "straße"],
    tokenizer: { ...uncasedWordPiece, stripAccents: false },
    tensors: new Map([
      ["encoder.weight", stored("F32", [2, 3], new Uint8Array(values.buffer))],
      ["encoder.weight@adam.m", stored("F32", [2, 3], new Uint8Array(24))],
      ["@step", stored("U32", [1], new Uint8Array(Uint32Array.of(step).buffer))],
    ]),
  };
}

describe("safetensors", () => {
  const dtype = fc.constantFrom("F32", "I32", "U32", "U8", "F16", "F64" as const);
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
  const tensors = fc.dictionary(fc.string(), fc.record({ dtype, shape, fill: fc.nat(255) }), { maxKeys: 5 });
  const sizes = { F32: 4, I32: 4, U32: 4, U8: 1, F16: 2, F64: 8 };

  it("reads back what it wrote", async () => {
    const path = join(folder, "round-trip.safetensors");
    await fc.assert(
      fc.asyncProperty(
        tensors,
        fc.dictionary(fc.string(), fc.string(), { maxKeys: 4 }),
        async (drawn, metadata) => {
          fc.pre(!Object.hasOwn(drawn, "__metadata__") && !Object.hasOwn(metadata, "sha256"));
          const made = new Map(
            Object.entries(drawn).map(([name, tensor]) => {
              const count = tensor.shape.reduce((product, size) => product * size, sizes[tensor.dtype]);
              const bytes = Uint8Array.from({ length: count }, (_, i) => (tensor.fill + 7 * i) % 256);
              return [name, { bytes, tensor: stored(tensor.dtype, tensor.shape, bytes) }] as const;
            }),
          );
          await writeTensorFile(
            path,
            new Map([...made].map(([name, { tensor }]) => [name, tensor])),
            metadata,
          );
          const file = await readTensorFile(path);
          await verifyChecksum(path);
          const { sha256, ...found } = file.metadata;
          expect(found).toEqual({ ...metadata });
          expect(new Set(file.tensors.keys())).toEqual(new Set(made.keys()));
          for (const [name, { bytes, tensor }] of made) {
            const read = file.tensors.get(name);
            expect([read?.dtype, read?.shape]).toEqual([tensor.dtype, tensor.shape]);
            expect(await bytesOf(read)).toEqual(bytes);
          }
        },
      ),
      {
        numRuns: 80,
        examples: [
          [
            { "0": { dtype: "F32", shape: [], fill: 1 }, a: { dtype: "F16", shape: [3], fill: 2 } },
            { "1": "x" },
          ],
        ],
      },
    );
  });

  it("aligns the tensors to 8 bytes and writes the length first", () => {
    const header = encodeHeader([{ name: "a", dtype: "F32", shape: [2] }], [["k", "v"]]);
    expect(header.length % 8).toBe(0);
    expect(new DataView(header.buffer).getBigUint64(0, true)).toBe(BigInt(header.length - 8));
    expect(JSON.parse(new TextDecoder().decode(header.subarray(8)))).toEqual({
      __metadata__: { k: "v" },
      a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
    });
  });

  it("says what is wrong with a header", () => {
    const problem = (header: unknown, dataBytes = 8) => {
      const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
      try {
        parseHeader(text, 8 + text.length + dataBytes, "f");
      } catch (thrown) {
        return thrown instanceof KilnError
          ? thrown.message.replace(/^f is not a whole safetensors file: /, "")
          : thrown;
      }
      return "fine";
    };
    const a = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
    expect(problem({ a })).toBe("fine");
    expect(problem("{")).toBe("its header is not JSON");
    expect(problem([])).toBe("its header is not a JSON object");
    expect(problem({ __metadata__: 1 })).toBe("its metadata is not an object");
    expect(problem({ __metadata__: { k: 1 } })).toBe("its metadata `k` is not a string");
    expect(problem({ a: 1 })).toBe("the tensor `a` is not described by an object");
    expect(problem({ a: { ...a, dtype: "toString" } })).toBe(
      'the tensor `a` has the unknown dtype "toString"',
    );
    expect(problem({ a: { ...a, shape: [-2] } })).toBe("the tensor `a` has the shape [-2]");
    expect(problem({ a: { ...a, data_offsets: [0] } })).toBe("the tensor `a` has the offsets [0]");
    expect(problem({ a: { ...a, shape: [3] } })).toBe("the tensor `a` takes 8 bytes, but F32[3] takes 12");
    expect(problem({ a, b: a }, 16)).toMatch(/^the tensor `b` begins at byte \d+, not at \d+$/);
    expect(problem({ a: { ...a, data_offsets: [4, 12] } }, 12)).toMatch(/^the tensor `a` begins at byte/);
    expect(problem({ a }, 9)).toBe("1 bytes follow its last tensor");
    // Sizes whose product is no exact number, or none at all.
    const most = Number.MAX_SAFE_INTEGER;
    expect(problem({ a: { ...a, shape: [most, most] } })).toBe(
      `the tensor \`a\` takes 8 bytes, but F32[${most}, ${most}] takes ${4 * most * most}`,
    );
    expect(problem({ a: { ...a, shape: [...Array<number>(40).fill(most), 0] } })).toMatch(
      /^the tensor `a` takes 8 bytes, but F32\[.*\] takes NaN$/,
    );
    expect(problem({ a: { ...a, shape: [2 ** 60] } })).toMatch(/^the tensor `a` has the shape \[11529/);
    expect(problem({ a: { ...a, shape: [1.5] } })).toBe("the tensor `a` has the shape [1.5]");
    expect(problem('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}')).toBe(
      "the tensor `a` has the shape [null]",
    );
    expect(problem({ a: { ...a, data_offsets: [8, 0] } })).toBe(
      "the tensor `a` takes -8 bytes, but F32[2] takes 8",
    );
    expect(problem({ a: { ...a, data_offsets: [most - 8, most] } })).toMatch(/begins at byte 9007199254/);
    // Texts that would keep a parser busy, or that name what every object has.
    expect(problem("[".repeat(2_000_000))).toBe("its header is not JSON");
    expect(problem(`{"a":${'{"a":'.repeat(100_000)}1${"}".repeat(100_001)}`)).toMatch(
      /^(?:its header is not JSON|the tensor `a` has the unknown dtype undefined)$/,
    );
    expect(problem('{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}')).toBe("fine");
    expect(problem('{"__metadata__":{"__proto__":"x","constructor":"y"},"a":1}')).toBe(
      "the tensor `a` is not described by an object",
    );
    expect(problem({ a: { ...a, dtype: "I4" } })).toBe('the tensor `a` has the unknown dtype "I4"');
    expect(problem({ a }, 7)).toMatch(/^f is cut off: it has \d+ of \d+ bytes$/);
  });
});

describe("checkpoints", () => {
  it("come back as they were", async () => {
    const path = join(folder, "new", "folder", "a.safetensors");
    await saveCheckpoint(path, contents(12));
    const { tensors, path: loadedPath, ...loaded } = await loadCheckpoint(path);
    const { tensors: savedTensors, ...saved } = contents(12);
    expect(loaded).toEqual(saved);
    expect(loadedPath).toBe(path);
    for (const [name, tensor] of savedTensors)
      expect(await bytesOf(tensors.get(name))).toEqual(await bytesOf(tensor));
    expect(await readdir(join(folder, "new", "folder"))).toEqual(["a.safetensors"]);
  });

  it("are refused when cut at any byte", async () => {
    const whole = join(folder, "whole.safetensors");
    const cut = join(folder, "cut.safetensors");
    await saveCheckpoint(whole, contents(3));
    const bytes = await readFile(whole);
    await writeFile(cut, bytes);
    for (let length = bytes.length - 1; length >= 0; length--) {
      await truncate(cut, length);
      const error = await failure(() => loadCheckpoint(cut));
      expect(error.kind).toBe("user");
      expect(error.message).toMatch(/cut off|not a whole safetensors file: it has \d bytes/);
    }
  });

  it("are refused when any byte is changed or added", async () => {
    const whole = join(folder, "whole2.safetensors");
    const changed = join(folder, "changed.safetensors");
    await saveCheckpoint(whole, contents(3));
    const bytes = await readFile(whole);
    for (let at = 0; at < bytes.length; at++) {
      const copy = Uint8Array.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 0x01;
      await writeFile(changed, copy);
      const error = await failure(() => loadCheckpoint(changed));
      expect(error.kind).toBe("user");
      expect(error.message).toContain(changed);
    }
    await writeFile(changed, Buffer.concat([bytes, Buffer.of(0)]));
    expect((await failure(() => loadCheckpoint(changed))).message).toMatch(/1 bytes follow/);
  });

  it("are told from other files", async () => {
    const path = join(folder, "other");
    const message = async (bytes: Uint8Array) => {
      await writeFile(path, bytes);
      return (await failure(() => loadCheckpoint(path))).message.replace(path, "F");
    };
    expect(await message(new Uint8Array())).toMatch(/^F is not a whole safetensors file: it has 0 bytes/);
    expect(await message(Buffer.from("PK\u0003\u0004 a zip archive, say"))).toMatch(/its first 8 bytes/);
    const foreign = encodeHeader([{ name: "a", dtype: "U8", shape: [0] }], [["format", "pt"]]);
    expect(await message(foreign)).toBe("F is a safetensors file, but not a Kiln checkpoint");
    expect(
      await message(
        encodeHeader(
          [],
          [
            ["format", "kiln-checkpoint"],
            ["version", "2"],
          ],
        ),
      ),
    ).toMatch(/has checkpoint version 2/);
    expect((await failure(() => loadCheckpoint(join(folder, "missing")))).message).toMatch(
      /^there is no file .*missing$/,
    );
    expect((await failure(() => loadCheckpoint(folder))).message).toMatch(/is not a file$/);
  });

  it("of before tokenizers were written are of words; a tokenizer that makes no sense is refused", async () => {
    const path = join(folder, "tokenizer.safetensors");
    const { tokenizer, ...without } = contents(1);
    await saveCheckpoint(path, without);
    expect(await loadCheckpoint(path)).not.toHaveProperty("tokenizer");
    await saveCheckpoint(path, contents(1));
    expect((await loadCheckpoint(path)).tokenizer).toEqual(tokenizer);
    await saveCheckpoint(path, { ...contents(1), tokenizer: { ...uncasedWordPiece, maxCharsPerWord: 0 } });
    expect((await failure(() => loadCheckpoint(path))).message).toBe(
      `${path} has a \`tokenizer\` that makes no sense`,
    );
  });

  it("stay as they were when a save fails", async () => {
    const path = join(folder, "kept.safetensors");
    await saveCheckpoint(path, contents(1));
    const broken: StoredTensor = {
      dtype: "F32",
      shape: [1000],
      async *read() {
        yield new Uint8Array(40);
        throw new KilnError("machine", "the device was lost");
      },
    };
    const error = await failure(() =>
      saveCheckpoint(path, { ...contents(2), tensors: new Map([["w", broken]]) }),
    );
    expect(error.message).toBe("the device was lost");
    const short = stored("F32", [3], new Uint8Array(8));
    expect(
      (await failure(() => saveCheckpoint(path, { ...contents(2), tensors: new Map([["w", short]]) })))
        .message,
    ).toMatch(/gave 8 of its 12 bytes/);
    expect((await loadCheckpoint(path)).step).toBe(1);
    expect((await readdir(folder)).filter((name) => name.startsWith("kept"))).toEqual(["kept.safetensors"]);
    const impossible = await failure(() => saveCheckpoint(join(path, "below", "a-file"), contents(2)));
    expect([impossible.kind, impossible.exitCode]).toEqual(["machine", 3]);
  });

  it("survive a process that is killed in the middle of a save, whose leftovers go with the next", async () => {
    const path = join(folder, "killed.safetensors");
    await saveCheckpoint(path, contents(1));
    const module = new URL("../../runtime/checkpoint/index.ts", import.meta.url).href;
    const script = `
      const { writeTensorFile } = await import(${JSON.stringify(module)});
      const slow = { dtype: "U8", shape: [1e9], async *read() {
        yield new Uint8Array(1e6);
        console.log("half");
        await new Promise((resolve) => setTimeout(resolve, 60000));
      } };
      await writeTensorFile(${JSON.stringify(path)}, new Map([["w", slow]]), {});`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(child.stdout, "data");
    expect(String(said)).toBe("half\n");
    child.kill("SIGKILL");
    await once(child, "exit");
    const partial = `killed.safetensors.${child.pid}.partial`;
    expect(await readdir(folder)).toContain(partial);
    expect((await loadCheckpoint(path)).step).toBe(1);
    await saveCheckpoint(path, contents(2));
    expect((await loadCheckpoint(path)).step).toBe(2);
    expect(await readdir(folder)).not.toContain(partial);
  });

  it("are not mixed with one that replaces them while they are read", async () => {
    const path = join(folder, "replaced.safetensors");
    await saveCheckpoint(path, contents(1));
    const old = await loadCheckpoint(path);
    await saveCheckpoint(path, contents(2));
    expect((await failure(() => bytesOf(old.tensors.get("@step")))).message).toMatch(/was replaced/);
  });
});

describe("bytes that are no file", () => {
  async function written(step: number): Promise<Uint8Array<ArrayBuffer>> {
    let bytes = new Uint8Array();
    await writeCheckpoint(
      {
        async write(piece, position) {
          if (position === undefined) bytes = Uint8Array.of(...bytes, ...piece);
          else bytes.set(piece, position);
        },
      },
      contents(step),
    );
    return bytes;
  }

  it("are those of the file, and are read like it", async () => {
    const path = join(folder, "the-same.safetensors");
    await saveCheckpoint(path, contents(7));
    const bytes = await written(7);
    expect(Buffer.from(bytes).equals(await readFile(path))).toBe(true);
    const fromBlob = await readCheckpoint(blobSource(new Blob([bytes]), "dropped.safetensors"));
    const fromFile = await loadCheckpoint(path);
    const plain = async (checkpoint: typeof fromFile) => ({
      ...checkpoint,
      path: "",
      tensors: await Promise.all(
        [...checkpoint.tensors].map(async ([name, tensor]) => [
          name,
          tensor.dtype,
          tensor.shape,
          await bytesOf(tensor),
        ]),
      ),
    });
    expect(await plain(fromBlob)).toEqual(await plain(fromFile));
    expect(fromBlob.path).toBe("dropped.safetensors");
  });

  it("are refused by the name they came with", async () => {
    const bytes = await written(7);
    const refusal = (blob: Blob) => failure(() => readCheckpoint(blobSource(blob, "dropped.safetensors")));
    const changed = bytes.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect((await refusal(new Blob([changed]))).message).toBe(
      "dropped.safetensors is damaged: its contents do not match its checksum",
    );
    expect((await refusal(new Blob([bytes.slice(0, -1)]))).message).toContain(
      "dropped.safetensors is cut off",
    );
    expect((await refusal(new Blob(["no tensors at all"]))).message).toContain("dropped.safetensors");
  });
});
