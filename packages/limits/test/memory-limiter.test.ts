import { createMemoryLimiter } from "../src/index.ts";
import { limiterSuite } from "./limiter.suite.ts";

limiterSuite("memory", (now) => createMemoryLimiter({ now }));
