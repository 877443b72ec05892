import { defineConfig } from "vitest/config";

/** Real browsers, driven from Node: one test file at a time, since two browsers share few cores. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["verbose"],
  },
});
