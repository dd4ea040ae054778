/** Failed logins on record: few lines, and none unaccounted for. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AuditEntry } from "../src/access/audit.ts";
import { FailedLogins } from "../src/access/failed-logins.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function given() {
  const lines: AuditEntry[] = [];
  return { lines, failures: new FailedLogins((entry) => void lines.push(entry)) };
}

/** How many logins the lines speak of. */
function counted(lines: readonly AuditEntry[]): number {
  return lines.reduce((sum, { detail = "" }) => sum + Number(/^(\d+) /.exec(detail)?.[1] ?? 1), 0);
}

test("the first of an address is written at once, with whose name was given", () => {
  const { lines, failures } = given();
  failures.add({ from: "10.0.0.1", user: "ann", reason: "wrong password" });
  expect(lines).toEqual([
    {
      id: expect.any(String),
      phase: "refused",
      user: "ann",
      from: "10.0.0.1",
      detail: "failed login: wrong password",
    },
  ]);
});

test("90,000 are few lines, and all are counted", () => {
  const { lines, failures } = given();
  for (let index = 0; index < 90_000; index += 1) {
    const reason = index % 3 === 0 ? "too many tries" : "wrong password";
    failures.add({ from: `10.0.${index % 7}.1`, user: index % 2 === 0 ? "ann" : undefined, reason });
  }
  expect(lines).toHaveLength(7);
  vi.advanceTimersByTime(60_000);
  expect(lines).toHaveLength(14);
  expect(counted(lines)).toBe(90_000);
  expect(lines.at(-1)).toMatchObject({
    id: lines[6]?.id,
    detail: expect.stringContaining("too many tries ("),
  });
  // A minute without any leaves nothing behind.
  vi.advanceTimersByTime(600_000);
  expect(lines).toHaveLength(14);
});

test("so are those of a hundred thousand addresses, and what is left at the end", () => {
  const { lines, failures } = given();
  for (let index = 0; index < 100_000; index += 1) {
    failures.add({ from: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, reason: "no such user" });
  }
  failures.flush();
  expect(lines.length).toBeLessThan(210);
  expect(counted(lines)).toBe(100_000);
  expect(lines.at(-1)).toMatchObject({ from: "other addresses", user: "unknown" });
});
