import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/**
 * The rooms and who may read whom. Every folder under `compiler/` is a language (data two rooms share) or a translation
 * from one language to the next; a translation sees its two languages and no other translation. The tables below
 * are the whole rule: what no row allows fails, with file and line.
 */
const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

interface Arrow {
  readonly from: string;
  readonly to: readonly string[];
  readonly why: string;
}

/** Between rooms. `*` stands for any room below that folder. Both ends are rooms, imported by their `index.ts`. */
const allowed: readonly Arrow[] = [
  {
    from: "compiler/*",
    to: ["compiler/program"],
    why: "its types (dtypes, shapes, device profile) are everyone's words",
  },
  {
    from: "compiler/*",
    to: ["compiler/diagnostics"],
    why: "a person's mistake is a Diagnostic wherever it is found",
  },
  {
    from: "compiler/semantics",
    to: ["compiler/syntax"],
    why: "reads the AST, writes the typed model, which it owns",
  },
  {
    from: "compiler/service",
    to: ["compiler/syntax", "compiler/semantics"],
    why: "what editors ask of a text: the AST and the values that the analysis found, no stage behind",
  },
  {
    from: "compiler/elaborate",
    to: ["compiler/semantics", "compiler/graph"],
    why: "reads the typed model, writes graph",
  },
  {
    from: "compiler/onnx",
    to: ["compiler/semantics"],
    why: "reads the typed model, writes ONNX as data, a language that room owns",
  },
  {
    from: "compiler/graph",
    to: ["compiler/kernel"],
    why: "the one arrow between languages: an op's `lower` builds scalars",
  },
  { from: "compiler/autodiff", to: ["compiler/graph"], why: "graph to graph" },
  { from: "compiler/training", to: ["compiler/graph"], why: "graph to graph" },
  { from: "compiler/precision", to: ["compiler/graph"], why: "graph to graph" },
  { from: "compiler/optimize", to: ["compiler/graph"], why: "graph to graph" },
  { from: "compiler/recompute", to: ["compiler/graph"], why: "graph to graph" },
  {
    from: "compiler/plan",
    to: ["compiler/graph", "compiler/schedule", "compiler/recompute"],
    why: "a decision on a graph needs the schedule of the one before it: this room alone goes back and forth",
  },
  {
    from: "compiler/schedule",
    to: ["compiler/graph", "compiler/kernel"],
    why: "reads graph, writes kernels",
  },
  { from: "compiler/wgsl", to: ["compiler/kernel"], why: "reads kernels, writes text" },
  {
    from: "compiler/assemble",
    to: ["compiler/schedule", "compiler/kernel"],
    why: "reads schedules (a language that room owns) of kernels, writes a Program",
  },
  { from: "compiler", to: ["compiler/*"], why: "compiler/index.ts alone knows the order" },
  { from: "runtime/*", to: ["compiler/program"], why: "a Program is all the runtime knows of the compiler" },
  {
    from: "runtime/*",
    to: ["runtime/errors.ts"],
    why: "what can go wrong on a machine, told apart by class",
  },
  {
    from: "runtime/*",
    to: ["runtime/tokenizer-description.ts"],
    why: "plain data: what a checkpoint keeps of a tokenizer, without the tokenizer's package",
  },
  { from: "runtime/data", to: ["runtime/tokenizer"], why: "a corpus becomes ids" },
  { from: "runtime/memory", to: ["runtime/device"], why: "buffers live on a device" },
  { from: "runtime/checkpoint", to: ["runtime/memory"], why: "saves and fills what the buffers hold" },
  {
    from: "runtime/huggingface",
    to: ["runtime/checkpoint", "runtime/tokenizer"],
    why: "files of another program: safetensors and what makes text into tokens",
  },
  {
    from: "runtime/execute",
    to: ["runtime/device", "runtime/memory"],
    why: "runs a Program's steps on buffers",
  },
  { from: "runtime/train", to: ["runtime/*"], why: "the loop is the only room that imports all" },
  { from: "runtime", to: ["runtime/*", "compiler/program"], why: "runtime/index.ts is the library's front" },
  {
    from: "tools",
    to: ["compiler", "compiler/*", "runtime", "runtime/*"],
    why: "commands use both sides, by their index.ts",
  },
  {
    from: "bench",
    to: ["compiler", "runtime/*", "tools"],
    why: "another command: both sides by their index.ts, and what commands share (console, tables, failures)",
  },
];

/** Languages everyone may read; they know nobody, or `allowed` would let them by its first rows. */
const readsNobody: readonly Arrow[] = [
  {
    from: "compiler/program",
    to: [],
    why: "the serializable Program must stand alone: the runtime imports it",
  },
  { from: "compiler/diagnostics", to: [], why: "spans and messages know no stage" },
];

/** Packages from npm, and Node's own modules, by room. `compiler/` runs in browsers and is pure: no files, no clock. */
const allowedPackages: readonly { readonly from: string; readonly packages: RegExp; readonly why: string }[] =
  [
    { from: "compiler/syntax", packages: /^chevrotain$/, why: "the grammar" },
    {
      from: "compiler/program",
      packages: /^@noble\/hashes\//,
      why: "SHA-256 in plain JavaScript, browsers too",
    },
    { from: "runtime", packages: /./, why: "meets the machine" },
    { from: "tools", packages: /./, why: "meets the person" },
    { from: "bench", packages: /./, why: "meets the other frameworks" },
  ];

/** What a pure compiler cannot use, on a line of code. */
const impure =
  /\b(?:Math\.random|Date\.now|new Date|performance\.now|process\.|globalThis\.|console\.|fetch\()/;

/** Spelling that only WGSL has. */
const wgslSpelling =
  /@(?:compute|workgroup_size|group\(|binding\()|var<(?:storage|workgroup|private|uniform)|workgroupBarrier/;

const indexOpening = ["In", "Out", "Assumes", "Guarantees", "Start reading at"];

interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

interface Source {
  /** From the root, with forward slashes. */
  readonly file: string;
  readonly text: string;
  /** Lines without comment lines: what is code, and its 1-based number. */
  readonly code: readonly { readonly number: number; readonly text: string }[];
}

function sourcesUnder(folder: string): Source[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?tsx?$/.test(entry.name))
    .map((entry) => readSource(relative(root, join(entry.parentPath, entry.name)).split(sep).join("/")))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

function readSource(file: string): Source {
  const text = readFileSync(join(root, file), "utf8");
  let inComment = false;
  const code = text.split("\n").flatMap((line, index) => {
    const trimmed = line.trim();
    if (!inComment && trimmed.startsWith("//")) return [];
    const wasInComment = inComment;
    if (!inComment && trimmed.startsWith("/*")) inComment = true;
    const isComment = inComment;
    if (inComment && trimmed.includes("*/")) inComment = false;
    return isComment || wasInComment ? [] : [{ number: index + 1, text: line }];
  });
  return { file, text, code };
}

/** Static, type-only, re-exporting, side-effect and dynamic imports, and workers by URL. */
function importsOf(source: Source): Import[] {
  const code = source.code.map((line) => line.text).join("\n");
  const patterns = [
    /^(?:import|export)\b[^"'`;]*?\bfrom\s*(["'])(.+?)\1/gms,
    /^import\s*(["'])(.+?)\1/gm,
    /\bimport\s*\(\s*(["'`])(.+?)\1/g,
    /\bnew URL\(\s*(["'`])(\.{1,2}\/.+?\.[cm]?[tj]s)\1\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => {
      const position = code.slice(0, match.index + match[0].length).split("\n").length - 1;
      return { file: source.file, line: source.code[position]?.number ?? 0, target: match[2] ?? "" };
    }),
  );
}

/**
 * `compiler/graph` of `compiler/graph/ops/math.ts`; `compiler` of `compiler/index.ts`; a file beside that index is a
 * room of one file, `runtime/errors.ts`; `tools` of all in tools/, `bench` of all in bench/.
 */
function roomOf(file: string): string {
  const [top = "", second = ""] = file.split("/");
  const hasRooms = (top === "compiler" || top === "runtime") && second !== "index.ts";
  return hasRooms ? `${top}/${second}` : top;
}

const isFile = (room: string): boolean => room.endsWith(".ts");

/** The front of a room, where it has one: the files of `tools` stand side by side. */
function frontOf(room: string): string | undefined {
  if (room === "tools") return undefined;
  return isFile(room) ? room : `${room}/index.ts`;
}

const matches = (pattern: string, room: string): boolean =>
  pattern.endsWith("/*") ? room.startsWith(pattern.slice(0, -1)) : pattern === room;

function allowedTargets(from: string): string[] {
  if (readsNobody.some((row) => row.from === from)) return [];
  return allowed.filter((row) => matches(row.from, from)).flatMap((row) => row.to);
}

/** What is wrong with an import, or undefined. */
function importMistake({ file, line, target }: Import): string | undefined {
  const at = `${file}:${line}`;
  const from = roomOf(file);
  if (!target.startsWith(".")) {
    if (
      allowedPackages.some(
        (row) => (from === row.from || from.startsWith(`${row.from}/`)) && row.packages.test(target),
      )
    )
      return undefined;
    return `${at}: ${from} imports the package "${target}"; no row of allowedPackages lets it`;
  }
  if (!/\.(?:[cm]?[jt]s|json)$/.test(target)) return `${at}: "${target}" has no file ending; write the ".ts"`;
  const path = posix.normalize(posix.join(posix.dirname(file), target));
  const to = roomOf(path);
  if (to !== from) {
    const targets = allowedTargets(from);
    if (!targets.some((pattern) => matches(pattern, to))) {
      const may = targets.length === 0 ? "no other room" : [...new Set(targets)].join(", ");
      return `${at}: ${from} imports ${to} (${path}); it may import ${may}`;
    }
    const front = frontOf(to);
    if (front !== undefined && path !== front) return `${at}: ${from} reaches past ${front} to ${path}`;
  }
  return existsSync(join(root, path)) ? undefined : `${at}: "${target}" does not exist (${path})`;
}

const library = ["compiler", "runtime"].flatMap(sourcesUnder);
const product = [...library, ...sourcesUnder("tools"), ...sourcesUnder("bench")];
const underCompiler = library.filter((source) => source.file.startsWith("compiler/"));
const rooms = [...new Set(library.map((source) => roomOf(source.file)))].sort();
const folders = rooms.filter((room) => !isFile(room));
const found = (mistakes: readonly (string | undefined)[]): string[] =>
  mistakes.filter((text) => text !== undefined);

function linesMatching(sources: readonly Source[], pattern: RegExp): string[] {
  return sources.flatMap((source) =>
    source.code
      .filter((line) => pattern.test(line.text))
      .map((line) => `${source.file}:${line.number}: ${line.text.trim()}`),
  );
}

describe("arrows between rooms", () => {
  test("every import is one that a table allows", () => {
    const imports = product.flatMap(importsOf);
    expect(imports.length).toBeGreaterThan(0);
    expect(found(imports.map(importMistake))).toEqual([]);
  });

  test("every room is one that the tables know", () => {
    const known = [...allowed, ...readsNobody]
      .flatMap((row) => [row.from, ...row.to])
      .filter((room) => !room.endsWith("*"));
    expect(rooms.filter((room) => !known.includes(room))).toEqual([]);
  });

  test.each([
    ["compiler/schedule/fuse.ts", "../wgsl/index.ts", "compiler/schedule imports compiler/wgsl"],
    ["compiler/semantics/resolve.ts", "../syntax/ast.ts", "reaches past compiler/syntax/index.ts"],
    ["compiler/program/hash.ts", "../diagnostics/index.ts", "it may import no other room"],
    ["compiler/graph/evaluate.ts", "node:fs", 'imports the package "node:fs"'],
    [
      "runtime/execute/executor.ts",
      "../../compiler/graph/index.ts",
      "runtime/execute imports compiler/graph",
    ],
    ["compiler/graph/ops/math.ts", "../types", "no file ending"],
    ["bench/kiln.ts", "../runtime/device/node.ts", "reaches past runtime/device/index.ts"],
    ["tools/cli.ts", "../bench/cli.ts", "tools imports bench"],
  ])("an arrow that is not allowed is found: %s to %s", (file, target, message) => {
    expect(importMistake({ file, line: 1, target })).toContain(message);
  });

  test("imports are found however they are written", () => {
    const text = [
      'import { a } from "./a.ts";',
      "import type {",
      "  B,",
      '} from "./b.ts";',
      'export * from "./c.ts";',
      'import "./d.ts";',
      'const e = await import("./e.ts");',
      'const f = new Worker(new URL("./f.ts", import.meta.url));',
      '// import { g } from "./g.ts";',
    ].join("\n");
    const code = text
      .split("\n")
      .slice(0, -1)
      .map((line, index) => ({ number: index + 1, text: line }));
    const imports = importsOf({ file: "compiler/graph/x.ts", text, code });
    expect(imports.map(({ line, target }) => `${line} ${target}`).sort()).toEqual([
      "1 ./a.ts",
      "4 ./b.ts",
      "5 ./c.ts",
      "6 ./d.ts",
      "7 ./e.ts",
      "8 ./f.ts",
    ]);
  });
});

describe("rooms", () => {
  test.each(folders)("%s opens its index.ts with its contract", (room) => {
    const path = join(root, room, "index.ts");
    expect(existsSync(path), `${room}/index.ts is missing`).toBe(true);
    const opening = readFileSync(path, "utf8").split("\n").slice(0, indexOpening.length);
    const missing = indexOpening.filter(
      (word, index) => !new RegExp(`^// ${word}[.:] \\S`).test(opening[index] ?? ""),
    );
    expect(
      missing,
      `${room}/index.ts opens with the lines // In. // Out. // Assumes. // Guarantees. // Start reading at.`,
    ).toEqual([]);
  });

  test("the compiler is pure: no clock, no chance, no files, no globals", () => {
    // How long each stage took is told beside the program, never in it.
    const timings = /^compiler\/index\.ts:\d+: .*performance\.now\(\)/;
    const found = linesMatching(underCompiler, impure).filter((line) => !timings.test(line));
    expect(found).toEqual([]);
  });

  test("WGSL is spelled in compiler/wgsl only", () => {
    const others = product.filter((source) => roomOf(source.file) !== "compiler/wgsl");
    expect(linesMatching(others, wgslSpelling)).toEqual([]);
  });

  test("no layer, loss or model of the library is known to the compiler by name", () => {
    const specs = readdirSync(join(root, "models/lib")).map((name) =>
      readFileSync(join(root, "models/lib", name), "utf8"),
    );
    const names = specs.flatMap((text) =>
      [...text.matchAll(/^(?:layer|loss|model)\s+(\w+)/gm)].map((match) => match[1] ?? ""),
    );
    expect(names.length).toBeGreaterThan(0);
    const quoted = new RegExp(`["'\`](?:${names.join("|")})["'\`]`);
    expect(linesMatching(underCompiler, quoted)).toEqual([]);
  });
});

describe("code", () => {
  const everything = [...product, ...sourcesUnder("test")].filter(
    (source) => source.file !== "test/architecture.test.ts",
  );

  test("no holes in the types or the lint", () => {
    const hole = /:\s*any\b|\bas any\b|<any\b|\bany\[\]|\bas unknown as\b/;
    expect(linesMatching(everything, hole)).toEqual([]);
    const silenced = /@ts-(?:ignore|nocheck|expect-error)|(?:eslint|biome)-(?:disable|ignore)/;
    expect(found(everything.map((source) => (silenced.test(source.text) ? source.file : undefined)))).toEqual(
      [],
    );
  });

  test("a file is called for what it holds", () => {
    const vague = /(?:^|\/)(?:[\w-]*-)?(?:utils?|helpers?|misc|common)(?:-[\w-]*)?(?:\.[\w.]+)?(?:\/|$)/;
    expect(everything.map((source) => source.file).filter((file) => vague.test(file))).toEqual([]);
    const unkebab = everything.map((source) => source.file).filter((file) => !/^[a-z0-9./-]+$/.test(file));
    expect(unkebab, "files are kebab-case").toEqual([]);
  });

  test("no test is left out", () => {
    expect(linesMatching(everything, /\b(?:test|it|describe)\.(?:only|todo)\b/)).toEqual([]);
  });
});
