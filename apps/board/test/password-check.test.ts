/** Wrong passwords, limited by who gives them and for whom; the right ones of others among them. */
import { describe, expect, test } from "vitest";
import type { Identity } from "../src/access/identity.ts";
import { createPasswordCheck, type Attempt } from "../src/access/password-check.ts";

const RIGHT = "correct horse battery";
const MINUTE_MS = 60_000;

/** Checks take a turn of the event loop here, and are counted. */
function given(names = ["ann", "ben", "cem"]) {
  let now = 1;
  let checks = 0;
  const check = createPasswordCheck({
    accounts: names.map((name) => ({ name, role: "viewer" as const, hash: "right" })),
    clock: () => now,
    verify: async (password, hash) => {
      checks += 1;
      await new Promise(setImmediate);
      return password === RIGHT && hash === "right";
    },
  });
  const attempt = async (of: Partial<Attempt>): Promise<Identity["type"]> =>
    (await check({ name: "ann", password: RIGHT, address: "10.0.0.1", ...of })).type;
  return { check, attempt, checks: () => checks, later: (ms: number) => (now += ms) };
}

let serial = 0;
const guess = (): string => `guess ${(serial += 1)}`;

describe("a flood of wrong passwords", () => {
  test("from one address keeps out nobody else, also behind the same address", async () => {
    const { attempt, checks } = given();
    const flood = Array.from({ length: 60 }, async (_, index) =>
      attempt({ name: index % 2 === 0 ? "nobody" : "ann", password: guess() }),
    );
    const right = await Promise.all([
      attempt({ name: "ben" }),
      attempt({ name: "cem" }),
      attempt({ name: "cem", address: "10.0.0.2" }),
      attempt({ name: "ann", address: "10.0.0.2" }),
    ]);
    expect(right).toEqual(["known", "known", "known", "known"]);
    const wrong = await Promise.all(flood);
    expect(wrong).not.toContain("known");
    // Each check costs memory and time: most of the flood gets none.
    expect(checks()).toBeLessThan(20);
  });

  test("for one user from many addresses keeps out no other user, and not him from where he is known", async () => {
    const { attempt } = given();
    expect(await attempt({ address: "10.0.0.9" })).toBe("known");
    for (let index = 0; index < 60; index += 1) {
      await attempt({ password: guess(), address: `10.1.0.${index}` });
    }
    expect(await attempt({ password: guess(), address: "10.2.0.1" })).toBe("later");
    expect(await attempt({ name: "ben", address: "10.2.0.1" })).toBe("known");
    expect(await attempt({ address: "10.0.0.9" })).toBe("known");
  });

  test("is told when to come again, and may then", async () => {
    const { check, attempt, later } = given();
    for (let index = 0; index < 5; index += 1) expect(await attempt({ password: guess() })).toBe("wrong");
    const refused = await check({ name: "ann", password: RIGHT, address: "10.0.0.1" });
    expect(refused).toEqual({ type: "later", user: "ann", afterS: 20 });
    later(20_000);
    expect(await attempt({})).toBe("known");
  });

  test("of one wrong password costs one check, and one of those that are left", async () => {
    const { attempt } = given();
    const same = Array.from({ length: 30 }, async () => attempt({ password: "mistyped" }));
    expect(new Set(await Promise.all(same))).toEqual(new Set(["wrong"]));
    for (let index = 0; index < 4; index += 1) expect(await attempt({ password: guess() })).toBe("wrong");
    expect(await attempt({ password: guess() })).toBe("later");
  });

  test("counts the addresses of one IPv6 network as one", async () => {
    const { attempt } = given();
    for (let index = 0; index < 5; index += 1) {
      expect(await attempt({ password: guess(), address: `2001:db8:1:2::${index}` })).toBe("wrong");
    }
    expect(await attempt({ password: guess(), address: "2001:db8:1:2:ffff::1" })).toBe("later");
    expect(await attempt({ password: guess(), address: "2001:db8:1:3::1" })).toBe("wrong");
  });
});

describe("a login", () => {
  test("lasts while it is used, whatever others get wrong meanwhile", async () => {
    const { attempt, later } = given();
    expect(await attempt({})).toBe("known");
    for (let index = 0; index < 6; index += 1) await attempt({ password: guess() });
    for (let minutes = 0; minutes < 11 * 60; minutes += 10) {
      later(10 * MINUTE_MS);
      for (let index = 0; index < 3; index += 1) void attempt({ name: "nobody", password: guess() });
      expect(await attempt({})).toBe("known");
    }
  });

  test("is computed again after 12 hours, also if it is used all the time", async () => {
    const { attempt, checks, later } = given();
    for (let minutes = 0; minutes < 12 * 60; minutes += 20) {
      expect(await attempt({})).toBe("known");
      later(20 * MINUTE_MS);
    }
    expect(checks()).toBe(1);
    expect(await attempt({})).toBe("known");
    expect(checks()).toBe(2);
  });

  test("is computed again after half an hour without use", async () => {
    const { attempt, checks, later } = given();
    await attempt({});
    later(30 * MINUTE_MS);
    expect(await attempt({})).toBe("known");
    expect(checks()).toBe(2);
  });
});

const outcomes = async (name: string): Promise<readonly string[]> => {
  const { attempt } = given(["ann"]);
  const told: string[] = [];
  // From an address that has used up what it has for all names.
  for (let index = 0; index < 25; index += 1) await attempt({ name: `name ${index}`, password: guess() });
  for (let index = 0; index < 8; index += 1) told.push(await attempt({ name, password: guess() }));
  return told;
};

describe("whether there is such a user", () => {
  test("is not to be told from what a wrong password is answered", async () => {
    expect(await outcomes("ann")).toEqual(await outcomes("nobody"));
    const { attempt } = given(["ann"]);
    for (let index = 0; index < 6; index += 1) await attempt({ name: `name ${index}`, password: guess() });
    for (const name of ["zoe", "ann", "eve"])
      expect(await attempt({ name, password: guess() })).toBe("wrong");
    expect(await outcomes("ann")).toContain("later");
  });

  test("makes no difference under a flood of names either, and the flood is bounded", async () => {
    const { attempt, checks } = given(["ann"]);
    const flood = Array.from({ length: 200 }, async (_, index) =>
      attempt({ name: `name ${index}`, password: guess() }),
    );
    const told = await Promise.all([
      attempt({ password: guess() }),
      attempt({ name: "nobody", password: guess() }),
    ]);
    expect(told[0]).toBe(told[1]);
    expect(await attempt({ address: "10.0.0.2" })).toBe("known");
    await Promise.all(flood);
    expect(checks()).toBeLessThan(50);
  });
});
