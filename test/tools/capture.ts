import { Writable } from "node:stream";
import { runCli } from "../../tools/cli.ts";
import type { Streams } from "../../tools/console.ts";

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as JSON: throws if it is not exactly one object on one line. */
  json(): Record<string, unknown>;
}

/** A stream that keeps what is written to it. */
export class TextSink extends Writable {
  text = "";

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Runs a command line of `tools/run` in this process, as if no terminal were there. */
export async function run(...args: readonly string[]): Promise<Captured> {
  return await capture(runCli, args);
}

/** The same for any command's main function. */
export async function capture(
  main: (args: readonly string[], streams: Streams) => Promise<number>,
  args: readonly string[],
): Promise<Captured> {
  const [out, err] = [new TextSink(), new TextSink()];
  const code = await main(args, { out, err, environment: {} });
  return {
    code,
    out: out.text,
    err: err.text,
    json() {
      if (!/^\{[^\n]*\}\n$/.test(out.text))
        throw new Error(`no single JSON object: ${out.text}\n${err.text}`);
      return JSON.parse(out.text) as Record<string, unknown>;
    },
  };
}
