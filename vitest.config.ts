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
          include: ["{apps,packages}/*/test/**/*.test.ts", "{bench,chaos}/test/**/*.test.ts"],
          exclude: ["**/*.int.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["{apps,packages}/*/test/**/*.int.test.ts", "chaos/test/**/*.int.test.ts"],
          globalSetup: ["./packages/services/test/global-setup.ts"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
    ],
  },
});
