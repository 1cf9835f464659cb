import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What this machine was tuned to is no part of a test.
    env: { KILN_TUNING: "none" },
    setupFiles: ["test/seed.ts"],
    // Dawn and SwiftShader want a process of their own: a worker thread shares the process-wide Vulkan loader.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
