import { defineConfig } from "vitest/config";

/** Real browsers, driven from Node: one test file at a time, since two browsers share few cores. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    environment: "node",
    fileParallelism: false,
    // Generous: on a machine that is busy with a build everything takes ten times as long.
    testTimeout: 600_000,
    hookTimeout: 300_000,
    reporters: ["verbose"],
  },
});
