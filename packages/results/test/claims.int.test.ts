import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { testKeySpace, testRedis } from "../../redis/test/redis.ts";
import { canonicalJson, sha256 } from "../src/canonical-json.ts";
import { ClaimStore, IDEMPOTENCY_WINDOW_MS, type ClaimRequest } from "../src/index.ts";

const request = { pool: "p", prompt: "Hello", stop: ["a", "b"], options: { topP: 0.5, temperature: 1 } };
const claimOf = (part: Partial<ClaimRequest> = {}): ClaimRequest => ({
  tenant: "acme",
  key: "order-17",
  request,
  id: randomUUID(),
  ...part,
});

function store() {
  const redis = testRedis("command");
  const space = testKeySpace();
  return { redis, space, claims: new ClaimStore(redis, space) };
}

describe("a claim", () => {
  test("of a free key binds it to the id", async () => {
    const { claims } = store();
    expect(await claims.claim(claimOf({ id: "first" }))).toEqual({ type: "new", id: "first" });
  });

  test("of a bound key with the same request tells the first id", async () => {
    const { claims } = store();
    await claims.claim(claimOf({ id: "first" }));
    expect(await claims.claim(claimOf({ id: "second" }))).toEqual({ type: "repeated", id: "first" });
  });

  test("whose answer got lost may be sent again as it was", async () => {
    const { claims } = store();
    await claims.claim(claimOf({ id: "first" }));
    expect(await claims.claim(claimOf({ id: "first" }))).toEqual({ type: "new", id: "first" });
  });

  test("with another request is a conflict and changes nothing", async () => {
    const { claims } = store();
    await claims.claim(claimOf({ id: "first" }));
    const other = { ...request, prompt: "Bye" };
    expect(await claims.claim(claimOf({ request: other }))).toEqual({ type: "conflict", id: "first" });
    expect(await claims.claim(claimOf())).toEqual({ type: "repeated", id: "first" });
  });

  test("compares without the times that a caller reckons anew", async () => {
    const { claims, redis, space } = store();
    const at = (runAt: string): ClaimRequest =>
      claimOf({ request: { ...request, runAt }, timeless: request });
    await claims.claim({ ...at("08:00"), id: "first" });
    expect(await claims.claim({ ...at("08:01"), id: "second" })).toEqual({ type: "repeated", id: "first" });
    expect(await claims.find(at("08:02"))).toEqual({ type: "repeated", id: "first" });
    // A version before this one compares all of it, as it was sent first.
    const [key = ""] = await redis.keys(`${space}:claim:*`);
    const all = { ...request, runAt: "08:00" };
    expect(await redis.hget(key, "hash")).toBe(sha256(canonicalJson(all)));
    await redis.hdel(key, "timeless");
    expect(await claims.claim({ ...at("08:00"), id: "third" })).toEqual({ type: "repeated", id: "first" });
    expect(await claims.find(at("08:01"))).toEqual({ type: "conflict", id: "first" });
  });

  test("does not care for the order of fields, at any depth", async () => {
    const { claims } = store();
    await claims.claim(claimOf({ id: "first" }));
    const { pool, prompt, stop } = request;
    const shuffled = { options: { temperature: 1, topP: 0.5 }, stop, prompt, pool };
    expect(await claims.claim(claimOf({ request: shuffled }))).toEqual({ type: "repeated", id: "first" });
  });

  test("does care for the order of a list", async () => {
    const { claims } = store();
    await claims.claim(claimOf({ id: "first" }));
    const reversed = { ...request, stop: ["b", "a"] };
    expect(await claims.claim(claimOf({ request: reversed }))).toMatchObject({ type: "conflict" });
  });

  test("of one tenant says nothing about the same key of another", async () => {
    const { claims } = store();
    await claims.claim(claimOf());
    expect(await claims.claim(claimOf({ tenant: "globex" }))).toMatchObject({ type: "new" });
  });

  test("by 50 callers at once has one winner, and all learn its id", async () => {
    const { claims, space } = store();
    const elsewhere = new ClaimStore(testRedis("command"), space);
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => (n % 2 === 0 ? claims : elsewhere).claim(claimOf())),
    );
    const winners = answers.filter((answer) => answer.type === "new");
    expect(winners).toHaveLength(1);
    expect(answers.filter((answer) => answer.type === "repeated")).toHaveLength(49);
    expect(new Set(answers.map((answer) => answer.id))).toEqual(new Set([winners[0]?.id]));
  });

  test("ends after the idempotency window, counted from the first", async () => {
    const { claims, redis, space } = store();
    await claims.claim(claimOf());
    const [key = ""] = await redis.keys(`${space}:claim:*`);
    await redis.pexpire(key, 5_000);
    await claims.claim(claimOf());
    expect(await redis.pttl(key)).toBeLessThanOrEqual(5_000);
    await redis.del(key);
    await claims.claim(claimOf());
    const ttl = await redis.pttl(key);
    expect(ttl).toBeGreaterThan(IDEMPOTENCY_WINDOW_MS - 10_000);
    expect(ttl).toBeLessThanOrEqual(IDEMPOTENCY_WINDOW_MS);
  });

  test("keeps neither the caller's key nor the request in Redis", async () => {
    const { claims, redis, space } = store();
    await claims.claim(claimOf({ key: "secret-key", request: { prompt: "secret-prompt" } }));
    const [key = ""] = await redis.keys(`${space}:*`);
    expect(key + JSON.stringify(await redis.hgetall(key))).not.toContain("secret");
  });
});
