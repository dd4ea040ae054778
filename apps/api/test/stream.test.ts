/** A caller of a stream that leaves before the job is found. */
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createApp, type AppOptions } from "../src/app.ts";
import { OpenStreams } from "../src/open-streams.ts";

const unused = (): never => {
  throw new Error("Not asked in this test");
};

/** A job that never says anything: only its caller, or its age, ends the stream. */
const read: AppOptions["read"] = async function* (_id, { signal }) {
  if (!signal.aborted) await once(signal, "abort");
  signal.throwIfAborted();
  yield { id: "0-1", type: "text" };
};

test("a caller that leaves while its job is looked up gives its place back", async () => {
  const asked: (() => void)[] = [];
  const found: (() => void)[] = [];
  const find: AppOptions["find"] = async (_tenant, id) => {
    if (id === "other") return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    found.push(resolve);
    asked.shift()?.();
    await promise;
    return { id, state: "waiting", acceptedAt: 0, deadlineAt: 1, attempts: 0 };
  };
  const app = createApp({
    accept: unused,
    find,
    cancel: unused,
    explain: unused,
    read,
    inspect: unused,
    health: unused,
    isOurs: () => true,
    streams: new OpenStreams({ most: 10, mostPerAddress: 1, maxAgeMs: 60_000 }),
    identities: unused,
    onError: () => {},
  });
  const server = app.listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("Expected a port");
  const { port } = address;

  const { promise: isAsked, resolve } = Promise.withResolvers<void>();
  asked.push(resolve);
  const connection = once(server, "connection");
  const caller = connect(port, "127.0.0.1");
  caller.write("GET /v1/jobs/slow/stream HTTP/1.1\r\nHost: here\r\n\r\n");
  const [socket]: unknown[] = await connection;
  if (!(socket instanceof Socket)) throw new Error("Expected a socket");
  await isAsked;
  const { promise: closed, resolve: onClose } = Promise.withResolvers<void>();
  socket.once("close", () => onClose());
  caller.resetAndDestroy();
  await closed;
  for (const each of found) each();

  const next = await fetch(`http://127.0.0.1:${port}/v1/jobs/other/stream`);
  expect(next.status).toBe(404);
});
