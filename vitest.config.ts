import { defineConfig } from "vitest/config";

const conditions = ["@sluice/source"];

export default defineConfig({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          sequence: { groupOrder: 1 },
          maxWorkers: "100%",
          include: ["{apps,packages}/*/test/**/*.test.ts", "{bench,chaos}/test/**/*.test.ts"],
          exclude: ["**/*.int.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          sequence: { groupOrder: 2 },
          // They wait for real services most of the time, and judge some of them by the clock.
          maxWorkers: 3,
          include: ["{apps,packages}/*/test/**/*.int.test.ts", "chaos/test/**/*.int.test.ts"],
          globalSetup: ["./packages/services/test/global-setup.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
