/** How long a page may be, however its length is written. */
import type { Request, Response } from "express";
import { expect, test } from "vitest";
import { boundedPages } from "../src/access/policy.ts";

/** The URL that comes after. */
function bounded(url: string): string {
  const request = { url };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a request it reads the URL alone
  void boundedPages(request as Request, {} as Response, () => {});
  return request.url;
}

test.each([
  ["/api/queues?jobsPerPage=1000000", "/api/queues?jobsPerPage=300"],
  ["/api/queues?jobsPerPage=10&jobsPerPage=1000000", "/api/queues?jobsPerPage=300"],
  ["/api/queues?x=1?&jobsPerPage=1000000", "/api/queues?x=1%3F&jobsPerPage=300"],
  ["/api/queues?jobs%50erPage=1e6", "/api/queues?jobsPerPage=300"],
  ["/api/queues?jobsPerPage=300", "/api/queues?jobsPerPage=300"],
  ["/api/queues", "/api/queues"],
])("%s", (url, expected) => {
  expect(bounded(url)).toBe(expected);
});
