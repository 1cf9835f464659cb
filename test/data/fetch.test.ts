import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ArchiveSource, fetchArchive } from "../../runtime/data/fetch-archive.ts";

const texts = { "a.tokens": " first file . \n", "b.tokens": " second file . \n" };
const archive = zipSync({
  "set/a.tokens": strToU8(texts["a.tokens"]),
  "set/b.tokens": strToU8(texts["b.tokens"]),
  "../../escape.tokens": strToU8("not wanted"),
});
const sha1 = (text: string): string => createHash("sha1").update(text).digest("hex");

let server: Server;
let base = "";
let requests = 0;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kiln-fetch-"));
  server = createServer((request, response) => {
    requests++;
    if (request.url === "/good.zip") response.end(archive);
    else if (request.url === "/broken.zip") response.end(archive.slice(0, 100));
    else if (request.url === "/cut.zip") {
      response.writeHead(200, { "content-length": archive.length });
      response.write(archive.slice(0, 100), () => response.destroy());
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  base = typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const source = (paths: readonly string[], change: Partial<ArchiveSource> = {}): ArchiveSource => ({
  name: "Set",
  urls: paths.map((path) => (path.startsWith("http") ? path : base + path)),
  files: Object.entries(texts).map(([name, text]) => ({ name, sha1: sha1(text) })),
  maxBytes: 1 << 20,
  licence: "CC BY-SA\n",
  ...change,
});

test("takes the first address that gives the right files, writes them with the licence, and only once", async () => {
  const target = join(folder, "good", "deeper");
  const lines: string[] = [];
  const result = await fetchArchive(source(["/none.zip", "/broken.zip", "/good.zip"]), target, (line) =>
    lines.push(line),
  );
  expect(result.alreadyThere).toBe(false);
  expect((await readdir(target)).sort()).toEqual(["LICENCE.txt", "a.tokens", "b.tokens"]);
  expect(await readFile(join(target, "b.tokens"), "utf8")).toBe(texts["b.tokens"]);
  expect(lines.length).toBe(3);
  const before = requests;
  expect((await fetchArchive(source(["/good.zip"]), target)).alreadyThere).toBe(true);
  expect(requests).toBe(before);
});

test.each([
  ["/none.zip", {}, "the server answered 404"],
  ["/broken.zip", {}, "invalid zip data"],
  ["/cut.zip", {}, "other side closed"],
  ["/good.zip", { files: [{ name: "a.tokens", sha1: sha1("other") }] }, "a.tokens has another checksum"],
  ["/good.zip", { files: [{ name: "c.tokens", sha1: sha1("c") }] }, "the archive has no c.tokens"],
  ["/good.zip", { maxBytes: 50 }, "more than 50 bytes"],
  // RFC 2606: `.invalid` is no host's name anywhere.
  ["http://nowhere.invalid/x.zip", {}, "no network (getaddrinfo"],
] as const)("%s %j: nothing is written", async (path, change, reason) => {
  const target = join(folder, "bad");
  await expect(fetchArchive(source([path], change), target)).rejects.toMatchObject({
    name: "KilnError",
    kind: "machine",
    message: expect.stringContaining(reason),
    hint: expect.stringContaining("without a network"),
  });
  await expect(readdir(target)).rejects.toThrow("ENOENT");
});
