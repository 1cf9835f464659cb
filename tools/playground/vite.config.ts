import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { withoutNode } from "./without-node.ts";

/** Nothing but the site's own files, nothing inline, no `eval`, no request by a script. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** What all scripts together may take, compressed. */
export const scriptLimitBytes = 600_000;

/** Vite's own server reloads what changes by a script and styles of its own: the policy is for what is built. */
function withPolicy(): Plugin {
  return {
    name: "kiln-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: contentSecurityPolicy },
        injectTo: "head-prepend",
      },
    ],
  };
}

/** Fails the build when the scripts, those of the worker too, are larger than they may be. */
function withinLimit(): Plugin {
  return {
    name: "kiln-size",
    apply: "build",
    writeBundle(_, bundle) {
      const scripts = Object.values(bundle).filter((file) => file.fileName.endsWith(".js"));
      const bytes = scripts.reduce(
        (sum, file) => sum + gzipSync(file.type === "chunk" ? file.code : file.source, { level: 9 }).length,
        0,
      );
      const words = `scripts: ${Math.round(bytes / 1000)} kB compressed, of ${scriptLimitBytes / 1000} kB`;
      if (bytes > scriptLimitBytes) this.error(`${words}: too large`);
      this.info(words);
    },
  };
}

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  // Relative: the site works from any folder of any server.
  base: "./",
  plugins: [withoutNode(), withPolicy(), withinLimit()],
  worker: { format: "es", plugins: () => [withoutNode()] },
  build: {
    outDir: fileURLToPath(new URL("../../out/playground", import.meta.url)),
    emptyOutDir: true,
    target: "es2023",
    // The polyfill asks for the scripts by `fetch`.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // `withinLimit` says what counts.
    chunkSizeWarningLimit: 2000,
  },
  server: { fs: { allow: ["../.."] } },
  preview: { headers: { "Content-Security-Policy": contentSecurityPolicy } },
});
