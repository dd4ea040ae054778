/** What the port does not take: names that lead here by trickery, and forms of other sites. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as http2Connect } from "node:http2";
import { json } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { start } from "../src/index.ts";

async function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string> },
) {
  const request = httpRequest(`${url}${path}`, options);
  request.end();
  const [response] = await once(request, "response");
  return { status: Number(response.statusCode), body: await json(response) };
}

describe("a simulator", () => {
  test("does not answer to a name that was made to lead here, over either protocol", async () => {
    await using simulator = await start({ allowedHosts: ["simulator"] });
    const headers = { host: "evil.example" };
    expect(await ask(simulator.url, "/_sim/stats", { headers })).toEqual({
      status: 421,
      body: { message: expect.stringContaining("--allowed-hosts") },
    });
    expect((await ask(simulator.url, "/model/x/converse", { method: "POST", headers })).status).toBe(421);
    expect((await ask(simulator.url, "/_sim/health", { headers })).status).toBe(200);
    expect((await ask(simulator.url, "/_sim/stats", { headers: { host: "simulator:4010" } })).status).toBe(
      200,
    );

    const session = http2Connect(simulator.url);
    onTestFinished(() => session.destroy());
    const statusOf = async (authority: string): Promise<unknown> => {
      const [answer] = await once(
        session.request({ ":path": "/_sim/stats", ":authority": authority }),
        "response",
      );
      return answer[":status"];
    };
    expect(await statusOf("evil.example")).toBe(421);
    expect(await statusOf(new URL(simulator.url).host)).toBe(200);
  });

  test("takes no write that a page of another site made a browser send", async () => {
    await using simulator = await start();
    const headers = { "sec-fetch-site": "cross-site", "content-type": "text/plain" };
    simulator.addFaults([{ fault: "ThrottlingException" }]);
    for (const [method, path] of [
      ["POST", "/_sim/reset"],
      ["DELETE", "/_sim/faults"],
    ]) {
      expect((await ask(simulator.url, path ?? "", { method: method ?? "", headers })).status).toBe(403);
    }
    const { body } = await ask(simulator.url, "/_sim/faults", {});
    expect(body).toMatchObject({ rules: [expect.anything()] });
  });
});
