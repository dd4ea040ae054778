import { expect, it } from "vitest";
import { createMemoryLimiter } from "../src/index.ts";
import { adaptiveSuite } from "./adaptive.suite.ts";
import { breakerSuite } from "./breaker.suite.ts";
import { POOL, Subject, type Create } from "./harness.ts";
import { limiterSuite } from "./limiter.suite.ts";

const create: Create = (now) => createMemoryLimiter({ now });

limiterSuite("memory", create);
adaptiveSuite("memory", create);
breakerSuite("memory", create);

it("learns anew after its state was lost", async () => {
  const clock = { ms: 0 };
  const limiter = createMemoryLimiter({ now: () => clock.ms });
  const s = await Subject.create(() => limiter);
  limiter.lose();
  const { dimensions } = await s.limiter.inspect(POOL);
  expect(dimensions.tokens).toMatchObject({ level: 0 });
  expect(await s.ceiling()).toBe(0.5);
});
