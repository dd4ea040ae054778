/** The breaker, one suite per phase. */
import { closedSuite } from "./breaker/closed.suite.ts";
import { halfOpenSuite } from "./breaker/half-open.suite.ts";
import { isolationSuite } from "./breaker/isolation.suite.ts";
import { openSuite } from "./breaker/open.suite.ts";
import type { Create } from "./harness.ts";

export function breakerSuite(name: string, create: Create): void {
  closedSuite(name, create);
  openSuite(name, create);
  halfOpenSuite(name, create);
  isolationSuite(name, create);
}
