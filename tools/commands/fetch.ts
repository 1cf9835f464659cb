import { Argument, type Command } from "commander";
import type { Console } from "../console.ts";
import { type CommonOptions, withJson } from "../options.ts";

interface FetchOptions extends CommonOptions {
  readonly to?: string;
}

export function addFetchCommand(program: Command, open: (options: CommonOptions) => Console): void {
  withJson(
    program
      .command("fetch")
      .addArgument(new Argument("<dataset>", "what to download").choices(["wikitext-2"]))
      .summary("download a corpus")
      .description(
        "Downloads a corpus for --corpus and checks its files against published checksums. Needs a network.",
      ),
  )
    .option("--to <folder>", "where it goes (default: data/<dataset>)")
    .action(async (dataset: string, options: FetchOptions) => {
      await fetchCorpus(dataset, options, open(options));
    });
}

async function fetchCorpus(dataset: string, options: FetchOptions, console: Console): Promise<void> {
  const { fetchWikiText2 } = await import("../../runtime/data/index.ts");
  const result = await fetchWikiText2(options.to ?? `data/${dataset}`, (line) => console.say(line));
  console.result(result);
  console.say(
    result.alreadyThere ? `${result.folder} is complete already` : `wrote ${result.files.join(", ")}`,
  );
  console.say(`train on it with: --corpus ${result.folder}`);
}
