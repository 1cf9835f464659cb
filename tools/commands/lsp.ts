import type { Command } from "commander";

export function addLspCommand(program: Command): void {
  program
    .command("lsp")
    .summary("serve editors over the Language Server Protocol")
    .description(
      "A language server for `.bert` files on standard input and output: diagnostics, completion, hover with shapes, definitions, " +
        "colours, formatting. An editor starts it.",
    )
    .option("--stdio", "the only way it talks; editors like to say so")
    .action(async () => {
      const { serveLanguage } = await import("../lsp/server.ts");
      serveLanguage(process.stdin, process.stdout);
      // The server ends the process when the editor says so or is gone.
      await new Promise<never>(() => {});
    });
}
