import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import chromiumFiles from "@sparticuz/chromium";
import { type BrowserContext, chromium } from "playwright-core";
import { build, preview } from "vite";

const configFile = fileURLToPath(new URL("../../tools/playground/vite.config.ts", import.meta.url));

/** The built site in a folder of some server, and a browser with a profile of its own. */
export interface Site {
  /** A folder for what a test writes. */
  readonly folder: string;
  /** Where the site was built into. */
  readonly built: string;
  readonly url: string;
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** Builds the site, serves it and starts the Chromium that comes with the packages, with WebGPU on its software device. */
export async function openSite(): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "kiln-playground-"));
  const built = join(folder, "site");
  await build({ configFile, logLevel: "error", build: { outDir: built } });
  const server = await preview({
    configFile,
    logLevel: "error",
    // The site must not mind in which folder it lies.
    base: "/some/folder/",
    build: { outDir: built },
    preview: { port: 0, host: "127.0.0.1" },
  });
  const [url] = server.resolvedUrls?.local ?? [];
  if (url === undefined) throw new Error("the server has no address");
  const context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: await chromiumFiles.executablePath(),
    headless: true,
    chromiumSandbox: false,
    // Without a language Chromium calls itself `en-US@posix` here, which its own `Intl` refuses.
    locale: "en-US",
    args: [
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--enable-features=Vulkan",
      "--use-vulkan=swiftshader",
    ],
  });
  return {
    folder,
    built,
    url,
    context,
    async close() {
      await context.close();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
