/** Work in turns: a bounded part of it at a time, and equal work once. */
import { expect, test } from "vitest";
import { Turns } from "../src/turns.ts";

function given(atOnce: number, waiting: number) {
  const turns = new Turns({ atOnce, waiting });
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = async (what: string): Promise<string> =>
    turns.take(what, async () => {
      begun.push(what);
      await new Promise<void>((resolve) => ends.set(what, resolve));
      return what;
    });
  const end = async (what: string): Promise<void> => {
    ends.get(what)?.();
    await new Promise(setImmediate);
  };
  return { ask, begun, end };
}

test("so many at once, the others in the order they came, and more are refused", async () => {
  const { ask, begun, end } = given(2, 1);
  const answers = [ask("a"), ask("b"), ask("c")];
  await expect(ask("d")).rejects.toMatchObject({ statusCode: 503 });
  expect(begun).toEqual(["a", "b"]);
  await end("b");
  expect(begun).toEqual(["a", "b", "c"]);
  const last = ask("e");
  expect(begun).toHaveLength(3);
  await end("a");
  await end("c");
  await end("e");
  expect(await Promise.all([...answers, last])).toEqual(["a", "b", "c", "e"]);
});

test("who asks for what is being done shares it, also when nobody else may wait", async () => {
  const { ask, begun, end } = given(1, 0);
  const answers = [ask("a"), ask("a"), ask("a")];
  expect(begun).toEqual(["a"]);
  await end("a");
  expect(await Promise.all(answers)).toEqual(["a", "a", "a"]);
  const again = ask("a");
  expect(begun).toEqual(["a", "a"]);
  await end("a");
  await again;
});

test("work that fails gives its turn back", async () => {
  const turns = new Turns({ atOnce: 1, waiting: 0 });
  await expect(turns.take("a", async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await turns.take("b", async () => "done")).toBe("done");
});
