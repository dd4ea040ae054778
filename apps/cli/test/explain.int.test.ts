/** `sluice explain` and whatever answers it. */
import { createServer, type RequestListener } from "node:http";
import { closeServer, listen } from "@sluice/process";
import { expect, onTestFinished, test, vi } from "vitest";
import { explain } from "../src/explain.ts";

async function answering(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  onTestFinished(async () => closeServer(server));
  return listen(server, "127.0.0.1", 0);
}

test("a page instead of an answer is no stack of a parser", async () => {
  const api = await answering((_request, response) =>
    response.writeHead(502).end("<html>Bad gateway</html>"),
  );
  await expect(explain("p.l.x", { api, json: false })).rejects.toThrow(
    `What answers at ${api} is no Sluice API (502)`,
  );
  await expect(explain("p.l.x", { api: "localhost", json: false })).rejects.toThrow("Expected the API's URL");
});

test("an answer's control characters are shown, not obeyed", async () => {
  const why = "It \u001B[2J waits";
  const api = await answering((_request, response) =>
    response.end(JSON.stringify({ id: "x", state: "waiting", why })),
  );
  let all = "";
  const write = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    all += String(chunk);
    return true;
  });
  await explain("p.l.x", { api, json: false });
  write.mockRestore();
  expect(all).toBe("waiting: It \\u001b[2J waits\n");
});
