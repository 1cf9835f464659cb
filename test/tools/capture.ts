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

/** Runs a command line of `tools/run` in this process, as if no terminal were there. */
export async function run(...args: readonly string[]): Promise<Captured> {
  return await capture(runCli, args);
}

/** The same for any command's main function. */
export async function capture(
  main: (args: readonly string[], streams: Streams) => Promise<number>,
  args: readonly string[],
): Promise<Captured> {
  const texts = { out: "", err: "" };
  const sink = (name: keyof typeof texts): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        texts[name] += String(chunk);
        done();
      },
    });
  const code = await main(args, { out: sink("out"), err: sink("err"), environment: {} });
  return {
    code,
    ...texts,
    json() {
      if (!/^\{[^\n]*\}\n$/.test(texts.out))
        throw new Error(`no single JSON object: ${texts.out}\n${texts.err}`);
      return JSON.parse(texts.out) as Record<string, unknown>;
    },
  };
}
