/** The address of a Redis, and what is said of one that is none. */
import { expect, test } from "vitest";
import { databaseOf } from "../src/url.ts";

test.each([
  ["redis://h:6379", 0],
  ["redis://h:6379/", 0],
  ["rediss://u:p%2Fq@h/12", 12],
  ["redis://h/3?family=6", 3],
])("%s names database %d", (url, database) => {
  expect(databaseOf(url)).toBe(database);
});

test.each([
  "redis://default:12/34hunter2@db.example:6379/0",
  "redis://u:1?hunter2=x@db",
  "redis://u:1?x=hunter2@db",
  "redis://u:1#hunter2@db/x",
  "redis://u:1/hunter2#@db/x",
  "http://u:hunter2@db",
  "redis://u:hunter2@db:port",
])("nothing of %s is in what is said of it", (url) => {
  expect.hasAssertions();
  try {
    // A rest in the fragment names no path: the driver would connect to another host, and be refused there.
    databaseOf(url);
    expect(new URL(url).hash).toContain("hunter2");
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).not.toContain("hunter2");
  }
});
