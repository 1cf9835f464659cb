import type { Command } from "commander";
import type { Console } from "../console.ts";
import { Failure } from "../failure.ts";
import { type SpecOptions, withSpecOptions } from "../options.ts";
import { diskLoader, reportDiagnostics, requireTextFile } from "../spec.ts";
import { renderTable } from "../terminal/table.ts";
import { formatCount } from "../terminal/units.ts";

export function addCheckCommand(program: Command, open: (options: SpecOptions) => Console): void {
  withSpecOptions(program.command("check").argument("<spec>", "a .bert file"))
    .summary("find the mistakes of a spec; print its parameters, inputs and losses")
    .description(
      "Checks a spec without running it: errors with line, column and a hint, or else its parameters, inputs and losses.",
    )
    .action(async (spec: string, options: SpecOptions) => {
      await check(spec, options, open(options));
    });
}

async function check(spec: string, options: SpecOptions, console: Console): Promise<void> {
  const compiler = await import("../../compiler/index.ts");
  requireTextFile(spec, "name a .bert file, for instance models/bert-tiny.bert");
  const result = compiler.check(spec, { ...diskLoader, settings: options.set });
  reportDiagnostics(result, console);
  const { summary } = result;
  if (summary === undefined) {
    throw new Failure(1, {
      message: `${spec} describes no model`,
      file: spec,
      hint: "a spec has a `model` and a `train` block",
    });
  }
  console.result(summary);
  if (console.json) return;
  const { bold, dim } = console.colours;
  const rows = summary.params.map(({ name, shape }) => [
    name,
    `[${shape.join(", ")}]`,
    formatCount(shape.reduce((product, size) => product * size, 1)),
  ]);
  console.say(
    renderTable(
      [
        { title: "parameter", align: "left" },
        { title: "shape", align: "left" },
        { title: "numbers", align: "right" },
      ],
      [...rows, [bold("total"), `${summary.params.length} tensors`, bold(formatCount(summary.parameters))]],
    ),
  );
  console.say("");
  const inputs = summary.inputs.map(
    ({ name, dtype, shape }) => `${name} ${dim(`${dtype}[${shape.join(", ")}]`)}`,
  );
  const settings = Object.entries(summary.settings).map(([name, value]) => `${name} ${dim("=")} ${value}`);
  const facts = { inputs, outputs: summary.outputs, losses: summary.losses, settings };
  for (const [title, words] of Object.entries(facts)) {
    if (words.length > 0) console.say(`${bold(title.padEnd(8))}  ${words.join(", ")}`);
  }
}
