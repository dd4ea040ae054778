/** The address of a Redis with a password that holds what ends an address: told in a sentence, without the password. */
import { expect, test } from "vitest";
import { databaseOf } from "../src/url.ts";

test.each(["/", "?", "#"])("a password with %s is not told", (sign) => {
  // What stands before the sign is taken for host and port.
  const read = (): number => databaseOf(`redis://someone:12${sign}secret@127.0.0.1:6379`);
  expect(read).toThrow("%2F, %3F, %23 and %40");
  expect(read).not.toThrow("secret");
});

test("written as it should be, it is part of the address", () => {
  expect(databaseOf("redis://someone:12%2Fsecret%40@127.0.0.1:6379/3")).toBe(3);
});
