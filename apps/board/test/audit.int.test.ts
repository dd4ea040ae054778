/** Writes whose caller has gone before the answer: done, and on record; and failed logins. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { accessSettings } from "../src/access/settings.ts";
import { cheapHash, startBoard, type TestBoard } from "./given.ts";

let board: TestBoard;

beforeAll(async () => {
  board = await startBoard();
});

afterAll(async () => {
  await board[Symbol.asyncDispose]();
});

/** Sends a whole request, and resets the connection a moment later. */
async function sendAndReset(method: string, path: string, form: string): Promise<void> {
  const { hostname, port, host } = new URL(board.url);
  const socket: Socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  const head = [
    `${method} ${path} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/x-www-form-urlencoded",
    `content-length: ${Buffer.byteLength(form)}`,
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n${form}`);
  await sleep(2);
  socket.resetAndDestroy();
}

describe("with the connection reset before the answer", () => {
  test.each(["note", "park", "purge", "replay", "retry"])(
    "a %s is on record before and after",
    async (action) => {
      const errorClass = `Reset${action}`;
      const id = await board.dead({ errorClass });
      const revision = (await board.store.get(id))?.revision ?? "";
      const base = new URL(await board.classQueue(errorClass)).pathname;
      const [method, path] =
        action === "retry"
          ? ["PUT", `${base}/${id}/retry`]
          : ["POST", `/dead-letters/letter/${id}/${action}`];
      const before = board.audit.length;
      await sendAndReset(method, path, `note=seen&replays=0&revision=${revision}`);
      await vi.waitFor(() => expect(board.audit.at(-1)?.phase).toBe("result"), 10_000);
      const lines = board.audit.slice(before);
      const [intent] = lines;
      expect(intent).toMatchObject({ phase: "intent", user: "local", from: "127.0.0.1", method, path });
      expect(lines.at(-1)).toMatchObject({ status: action === "retry" ? 204 : 303 });
      expect(new Set(lines.map((line) => line.id)).size).toBe(1);
      const letter = await board.store.get(id);
      expect(letter?.revision).not.toBe(revision);
    },
  );

  test("the record says that the caller had gone, as soon as he has", async () => {
    const id = await board.dead();
    // It takes until the store answers, and the store is asked for many things.
    const before = board.audit.length;
    const paths = Array.from({ length: 20 }, () => `/dead-letters/letter/${id}/note`);
    await Promise.all(paths.map(async (path) => sendAndReset("POST", path, "note=seen")));
    await vi.waitFor(() => {
      const lines = board.audit.slice(before);
      expect(lines.filter(({ phase }) => phase === "result")).toHaveLength(20);
      expect(lines.some(({ phase }) => phase === "cut")).toBe(true);
    }, 10_000);
    const notes = (await board.store.get(id))?.history.filter(({ event }) => event === "noted") ?? [];
    const done = board.audit.slice(before).filter(({ status }) => status === 303);
    expect(done).toHaveLength(notes.length);
  });
});

test("failed logins are on record, with where they come from", async () => {
  const users = `ann:viewer:${cheapHash("right")}`;
  const settings = { HOST: "127.0.0.1", SLUICE_ALLOW_UNAUTHENTICATED: false, SLUICE_BOARD_USERS: users };
  await using closed = await startBoard({ access: accessSettings(settings) });
  const as = async (credentials: string): Promise<Response> => {
    const authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
    return fetch(`${closed.url}/api/queues`, { headers: { authorization } });
  };
  await fetch(closed.url);
  expect(closed.audit).toEqual([]);
  expect((await as("ann:wrong")).status).toBe(401);
  expect(closed.audit).toMatchObject([
    { phase: "refused", user: "ann", from: "127.0.0.1", detail: "failed login: wrong password" },
  ]);
  for (let index = 0; index < 4; index += 1) expect((await as(`ann:wrong${index}`)).status).toBe(401);
  const later = await as("ann:right");
  expect([later.status, Number(later.headers.get("retry-after"))]).toEqual([
    429,
    expect.toSatisfy((seconds: number) => seconds > 0 && seconds <= 20),
  ]);
  expect(closed.audit).toHaveLength(1);
});
