/** Whatever a program gives to its logger, no secret and no body of an error is in a line. */
import { describe, expect, test } from "vitest";
import { createLogger } from "../src/index.ts";

const SECRET = "hunter2";

function logged(log: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  log(
    createLogger({ name: "board", level: "trace", destination: { write: (line) => void lines.push(line) } }),
  );
  return lines.join("");
}

const error = Object.assign(new Error(`connect redis://:${SECRET}@h:6379`, { cause: { body: SECRET } }), {
  command: { name: "auth", args: [SECRET] },
  body: SECRET,
  $response: { headers: { authorization: SECRET } },
});

describe("a logger", () => {
  test.each([
    ["an error as a field", (logger) => logger.error({ err: error }, "board:error")],
    ["an error under another name", (logger) => logger.error({ reason: error }, "board:error")],
    ["an error deep in a field", (logger) => logger.error({ parts: [{ error }] }, "board:error")],
    ["an error alone", (logger) => logger.error(error)],
    ["an error with a message", (logger) => logger.error(error, "it failed")],
    ["a URL in a field", (logger) => logger.info({ url: `redis://u:${SECRET}@h` }, "listening")],
    ["a URL in a message", (logger) => logger.info(`at redis://u:${SECRET}@h`)],
    ["a URL in an argument", (logger) => logger.info("at %s", `redis://u:${SECRET}@h`)],
  ] satisfies [string, (logger: ReturnType<typeof createLogger>) => void][])(
    "given %s tells no secret",
    (_, log) => {
      const line = logged(log);
      expect(line).not.toContain(SECRET);
      expect(line.match(/\n/g)).toHaveLength(1);
    },
  );

  test("tells what failed, where, and of what", () => {
    const line: unknown = JSON.parse(logged((logger) => logger.error({ err: error }, "board:error")));
    expect(line).toMatchObject({
      msg: "board:error",
      err: {
        name: "Error",
        message: "connect redis://:***@h:6379",
        stack: expect.stringContaining("scrub.test"),
      },
    });
  });
});
