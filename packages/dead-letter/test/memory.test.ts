import { describe } from "vitest";
import { createMemoryStore } from "../src/index.ts";
import { deadLetterStoreSuite } from "./store.suite.ts";

describe("memory store", () => {
  deadLetterStoreSuite(createMemoryStore);
});
