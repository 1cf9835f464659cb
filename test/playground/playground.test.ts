import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderDiagnostics } from "../../compiler/diagnostics/index.ts";
import { check, compile } from "../../compiler/index.ts";
import { loadCheckpoint } from "../../runtime/checkpoint/index.ts";
import { openMaker, sourceOf } from "../../runtime/data/index.ts";
import { openDevice } from "../../runtime/device/index.ts";
import { createTrainer } from "../../runtime/train/index.ts";
import { diskLoader } from "../../tools/spec.ts";
import { run } from "../tools/capture.ts";
import { openSite, type Site } from "./site.ts";

/*
 * The built playground in a real browser. The tests follow one another on one page, as a person would.
 */

const modelPath = fileURLToPath(new URL("../../models/bert-tiny.bert", import.meta.url));
const sizes = { steps: "24", batch: "8", warmup: "2", hidden: "32", ffn: "64" };
const patience = 150_000;

let site: Site;
let page: Page;
const requests: string[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  site = await openSite();
  page = await site.context.newPage();
  page.setDefaultTimeout(patience / 3);
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(site.url);
}, patience);
afterAll(() => site.close(), patience);

const state = (words: RegExp) => page.locator("#state").filter({ hasText: words }).waitFor();
const verdict = (words: RegExp | string) => page.locator("#verdict").filter({ hasText: words }).waitFor();
const button = (name: string) => page.getByRole("button", { name, exact: true });

async function openDetails(summary: string): Promise<void> {
  const details = page.locator("details", { has: page.locator("summary", { hasText: summary }) });
  if ((await details.getAttribute("open")) === null) await details.locator("summary").click();
}

async function setAll(settings: Readonly<Record<string, string>>): Promise<void> {
  await openDetails("Settings");
  for (const [name, value] of Object.entries(settings))
    await page.locator("#settings").getByLabel(name, { exact: true }).fill(value);
}

interface Point {
  readonly step: number;
  readonly losses: Readonly<Record<string, number>>;
}

/** The losses that the page has saved of a run. */
async function savedLosses(name: string): Promise<readonly Point[]> {
  const notes = await page.evaluate(async (folder) => {
    const runs = await (await navigator.storage.getDirectory()).getDirectoryHandle("runs");
    const file = await (await runs.getDirectoryHandle(folder)).getFileHandle("run.json");
    return (await file.getFile()).text();
  }, name);
  const { history }: { readonly history: readonly Point[] } = JSON.parse(notes);
  return history;
}

async function download(start: () => Promise<void>): Promise<string> {
  const begun = page.waitForEvent("download");
  await start();
  const path = join(site.folder, `${Math.random()}.file`);
  await (await begun).saveAs(path);
  return path;
}

interface Vectors {
  readonly tokens: readonly string[];
  readonly vectors: readonly (readonly number[])[];
}

async function encodeOnPage(name: string, text: string): Promise<Vectors> {
  await page.locator("#encode-run").selectOption(name);
  await page.getByLabel("Text", { exact: true }).fill(text);
  await button("Encode").click();
  await page
    .locator("#encode-state")
    .filter({ hasText: /numbers each/ })
    .waitFor();
  return JSON.parse(await readFile(await download(() => button("Save as JSON").click()), "utf8"));
}

/** The greatest difference between vectors of the same tokens. */
function distance(a: Vectors, b: Vectors): number {
  expect(a.tokens).toEqual(b.tokens);
  expect(a.vectors.map((row) => row.length)).toEqual(b.vectors.map((row) => row.length));
  return Math.max(
    ...a.vectors.flatMap((row, at) =>
      row.map((value, i) => Math.abs(value - (b.vectors[at]?.[i] ?? Number.NaN))),
    ),
  );
}

test(
  "a mistake in a spec is marked as it is typed, with the words of the command line, and unmarked when it is mended",
  async () => {
    await verdict("Tiny: 143,746 parameters, losses mlm, nsp");
    expect(await page.locator(".cm-content .token-keyword", { hasText: "import" }).count()).toBe(2);
    await page.locator(".cm-content").click();
    await page.keyboard.press("Control+End");
    const mistake = "layer Wrong(size: dim) { forward(x: f32[size]) -> f32[size] = x + sizes }";
    await page.keyboard.insertText(mistake);
    await verdict("1 error");
    expect(await page.locator(".cm-lintRange-error").allTextContents()).toEqual(["sizes"]);

    const text = (await readFile(modelPath, "utf8")) + mistake;
    const { diagnostics, sources } = check("bert-tiny.bert", {
      load: (path) => (path === "bert-tiny.bert" ? text : undefined),
      library: diskLoader.library,
    });
    expect(await page.locator("#problems button").allTextContents()).toEqual([
      renderDiagnostics(diagnostics, sources),
    ]);

    for (let i = 0; i < "sizes }".length; i++) await page.keyboard.press("Backspace");
    await page.keyboard.insertText("x }");
    await verdict("Tiny: 143,746 parameters");
    expect(await page.locator(".cm-lintRange-error").count()).toBe(0);
    expect(await page.locator("#problems button").count()).toBe(0);
  },
  patience,
);

test(
  "a setting overrides the spec, and one that makes no sense is told",
  async () => {
    await setAll({ heads: "5" });
    await verdict("4 errors");
    expect(await page.locator("#problems button").first().textContent()).toContain(
      "hidden (64) must be a multiple of heads (5)",
    );
    await button("As in the spec").click();
    await verdict("Tiny: 143,746 parameters");
  },
  patience,
);

test(
  "a run that is paused survives a reload, goes on to its end and loses as it does in Node",
  async () => {
    await setAll(sizes);
    await button("Train").click();
    await state(/^Training/);
    await button("Pause").click();
    await state(/^Paused after step \d+, and saved/);
    expect(await page.locator("#progress").evaluate((bar: HTMLProgressElement) => bar.value)).toBeLessThan(
      24,
    );
    await page.reload();
    await verdict("Tiny: 143,746 parameters");
    await page.getByRole("button", { name: "Continue bert-tiny" }).click();
    await state(/^Done: 24 steps/);
    if (process.env.UPDATE_DOCUMENTS) await page.screenshot({ path: "docs/playground.png" });
    const inPage = await savedLosses("bert-tiny");
    expect(inPage.map(({ step }) => step)).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
    const mlm = inPage.map(({ losses }) => losses.mlm ?? Number.NaN);
    const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
    expect(mean(mlm.slice(-4))).toBeLessThan(mean(mlm.slice(0, 4)) - 0.5);

    const inNode = await lossesInNode();
    for (const [at, { losses }] of inNode.entries())
      for (const [name, value] of Object.entries(losses))
        expect(
          Math.abs(value - (inPage[at]?.losses[name] ?? Number.NaN)),
          `${name}, step ${at + 1}`,
        ).toBeLessThan(1e-5);
  },
  patience,
);

/** The same run on the software device in Node, not interrupted. */
async function lossesInNode(): Promise<readonly Point[]> {
  const kiln = await openDevice({ prefer: "software" });
  try {
    const { program } = compile(modelPath, { ...diskLoader, settings: sizes, profile: kiln.profile });
    if (program === undefined) throw new Error("the spec does not compile");
    const batches = sourceOf(await openMaker(program.data, { split: "train", seed: 0 }));
    const trainer = await createTrainer(program, kiln, { seed: 0, batches });
    const points: Point[] = [];
    for await (const { step, losses } of trainer.steps(program.settings.steps)) points.push({ step, losses });
    await trainer.dispose();
    return points;
  } finally {
    kiln.close();
  }
}

describe("checkpoints", () => {
  const text = "the bird sings";

  test(
    "an exported one is whole in Node and encodes there as on the page; taken in again, it is the same",
    async () => {
      const path = await download(() => page.getByRole("button", { name: "Export bert-tiny" }).click());
      const checkpoint = await loadCheckpoint(path);
      expect(checkpoint.step).toBe(24);
      const onPage = await encodeOnPage("bert-tiny", text);
      const inNode = await run(
        ...["encode", modelPath, text, "--checkpoint", path, "--device", "software", "--json"],
      );
      const { tokens, vectors } = inNode.json();
      expect(distance(onPage, JSON.parse(JSON.stringify({ tokens, vectors })))).toBeLessThan(1e-5);

      await page.getByLabel("Checkpoint file").setInputFiles({
        name: "taken-in.safetensors",
        mimeType: "application/octet-stream",
        buffer: await readFile(path),
      });
      await page.locator("#runs", { hasText: "taken-in bert-tiny.bert, step 24" }).waitFor();
      expect(distance(await encodeOnPage("taken-in", text), onPage)).toBe(0);
    },
    patience,
  );

  test(
    "a damaged one is refused by its name",
    async () => {
      await page.getByLabel("Checkpoint file").setInputFiles({
        name: "broken.safetensors",
        mimeType: "application/octet-stream",
        buffer: Buffer.from("this is no checkpoint, whatever its name says"),
      });
      await page
        .locator("#failure", { hasText: "broken.safetensors is not a whole safetensors file" })
        .waitFor();
      expect(await page.locator("#runs li").count()).toBe(2);
    },
    patience,
  );
});

test(
  "trains on a text of a person's own, and stops when it is told to",
  async () => {
    await openDetails("Text to train on");
    const sentences = ["The potter lights the kiln.", "Clay turns to stone in the fire.", "The glaze runs."];
    await page
      .getByLabel("Your text")
      .fill(Array.from({ length: 60 }, () => sentences.join(" ")).join("\n\n"));
    await button("Use this text").click();
    await setAll({ ...sizes, steps: "100000", layers: "1" });
    await button("Train").click();
    await state(/^Training/);
    await page.locator("#figures", { hasText: "pasted text, train: 54 paragraphs, 162 sentences" }).waitFor();
    await button("Stop").click();
    await state(/^Stopped after step \d+/);
    await page.locator("#runs", { hasText: "bert-tiny-2 bert-tiny.bert" }).waitFor();
    await page.getByRole("button", { name: "Delete bert-tiny-2" }).click();
    await page.locator("#runs", { hasText: "bert-tiny-2" }).waitFor({ state: "detached" });
  },
  patience,
);

test(
  "a spec that takes long to compile leaves the page free, and can be stopped",
  async () => {
    await setAll({ layers: "400", hidden: "8", heads: "1", ffn: "8" });
    await button("Train").click();
    await state(/^Compiling the spec/);
    await button("Stop").click();
    await state(/^Stopped before the first step/);
    await button("As in the spec").click();
    await verdict("Tiny: 143,746 parameters");
  },
  patience,
);

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

test.each([
  ["light", { width: 1280, height: 900 }],
  ["dark", { width: 360, height: 740 }],
] as const)(
  "axe finds nothing serious, and nothing is wider than the page: %s",
  async (colorScheme, size) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.evaluate(axe);
    const found: unknown = await page.evaluate(
      "axe.run().then(({ violations }) => violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))",
    );
    expect(found).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(size.width);
  },
  patience,
);

test(
  "says what to do where there is no WebGPU",
  async () => {
    const without = await site.context.newPage();
    await without.addInitScript(() => Object.defineProperty(navigator, "gpu", { value: undefined }));
    await without.goto(site.url);
    expect(await without.locator("#notice").textContent()).toMatch(
      /^This browser has no WebGPU.*Take Chrome or Edge/,
    );
    await without.locator("#verdict", { hasText: "parameters" }).waitFor();
    await without.close();
  },
  patience,
);

test("asks nobody for anything, runs no inline script and complains of nothing", async () => {
  expect(requests.length).toBeGreaterThan(3);
  expect(
    requests.filter(
      (url) => !url.startsWith(site.url) && !url.startsWith(`blob:${new URL(site.url).origin}`),
    ),
  ).toEqual([]);
  expect(complaints).toEqual([]);
  const html = await readFile(join(site.built, "index.html"), "utf8");
  const policy =
    /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1]?.replaceAll("&#39;", "'") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/);
  expect([...html.matchAll(/(?:src|href)="([^"]*)"/g)].filter(([, url]) => !url?.startsWith("./"))).toEqual(
    [],
  );
  const scripts = (await readdir(join(site.built, "assets"))).filter((name) => name.endsWith(".js"));
  for (const name of scripts)
    expect(await readFile(join(site.built, "assets", name), "utf8"), name).not.toMatch(
      /\bhttps?:\/\/(?:cdn|unpkg)/,
    );
});
