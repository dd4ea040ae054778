import { ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { errorStatus, isServiceErrorName } from "@sluice/wire";
import { type Simulator, start } from "../src/index.ts";
import { ask, createClient, type Transport, transports } from "./clients.ts";

const NOVA = "us.amazon.nova-pro-v1:0";

/** For a machine on which many tests run at once. */
const PATIENTLY = { timeout: 4_000, interval: 5 };

let simulator: Simulator;

beforeEach(async () => {
  simulator = await start({ timeScale: 0 });
});

afterEach(async () => {
  await simulator.stop();
});

/** What `send` throws for a prompt, or undefined. */
async function failureOf(text: string, transport: Transport = "HTTP/1.1", maxAttempts = 1): Promise<unknown> {
  const client = createClient(simulator.url, { transport, maxAttempts });
  try {
    await client.send(new ConverseCommand(ask(NOVA, text)));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    client.destroy();
  }
}

describe.each(transports)("over %s", (transport) => {
  test.each(Object.keys(errorStatus).filter(isServiceErrorName))(
    "%s has its status and its name",
    async (name) => {
      const error = await failureOf(`[[sim:${name}]]`, transport);
      expect(error).toMatchObject({ name, $metadata: { httpStatusCode: errorStatus[name] } });
    },
  );

  test("a page of HTML is no error the SDK can read", async () => {
    expect(await failureOf("[[sim:html]]", transport)).toMatchObject({
      name: "SyntaxError",
      $metadata: { httpStatusCode: 503 },
    });
  });

  test("a reset before the response is a TimeoutError to the SDK", async () => {
    expect(await failureOf("[[sim:reset]]", transport)).toMatchObject({ name: "TimeoutError" });
  });

  test("half a JSON body, cleanly ended", async () => {
    expect(await failureOf("[[sim:early-end]]", transport)).toMatchObject({
      name: "SyntaxError",
      $metadata: { httpStatusCode: 200 },
    });
  });

  test("a body cut by a reset", async () => {
    const error = await failureOf("[[sim:reset@mid]]", transport);
    expect(error).toMatchObject(transport === "HTTP/1.1" ? { code: "ECONNRESET" } : { name: "SyntaxError" });
  });

  test.each(["hang", "hang@mid"])("%s holds the reservation until the client gives up", async (fault) => {
    const client = createClient(simulator.url, { transport });
    const abort = new AbortController();
    const sent = client.send(new ConverseCommand(ask(NOVA, `[[sim:${fault}]]`)), {
      abortSignal: abort.signal,
    });
    const failure = sent.catch((error: unknown) => error);
    await expect.poll(() => simulator.stats()[`us-east-1/${NOVA}`]?.inFlight, PATIENTLY).toBe(1);
    abort.abort();
    expect(await failure).toBeInstanceOf(Error);
    await expect.poll(() => simulator.calls().calls, PATIENTLY).toHaveLength(1);
    expect(simulator.calls().calls).toMatchObject([{ outcome: "disconnected", admitted: true }]);
    client.destroy();
  });
});

test.each([
  ["too-many-tokens-per-day", "tokens-per-day", "Too many tokens per day, please wait before trying again."],
  ["overloaded", "overloaded", `Model ${NOVA} is currently overloaded. Please try again later.`],
])("%s is a throttle of its own kind", async (fault, throttle, message) => {
  expect(await failureOf(`[[sim:${fault}]]`)).toMatchObject({ name: "ThrottlingException", message });
  expect(simulator.calls().calls).toMatchObject([
    { outcome: "throttled", throttle, fault: "ThrottlingException" },
  ]);
});

test("Retry-After can be read from the error", async () => {
  expect(await failureOf("[[sim:retry-after]]")).toMatchObject({
    $response: { headers: { "retry-after": "2" } },
  });
});

test("a skewed Date makes the SDK correct its clock", async () => {
  expect(await failureOf("[[sim:clock-skew]]")).toMatchObject({ $metadata: { clockSkewCorrected: true } });
});

test(
  "529 is not retried by the SDK, ModelNotReady heals on its third attempt",
  { timeout: 30_000 },
  async () => {
    expect(await failureOf("[[sim:OverloadedException]]", "HTTP/1.1", 3)).toMatchObject({
      $metadata: { httpStatusCode: 529, attempts: 1 },
    });
    expect(await failureOf("[[sim:ModelNotReadyException*2]]", "HTTP/1.1", 3)).toBeUndefined();
    expect(simulator.stats()[`us-east-1/${NOVA}`]).toMatchObject({ calls: 4, sdkRetries: 2 });
  },
);

test("faults of the model cost its input, faults of the service nothing", async () => {
  await failureOf("[[sim:ModelErrorException]]");
  await failureOf("[[sim:InternalServerException]]");
  expect(simulator.calls().calls).toMatchObject([
    { admitted: true, settledTokens: 7 },
    { admitted: false, settledTokens: 0 },
  ]);
});

/** The name of what a call throws, or "ok". */
async function reply(modelId: string, text = "Hello", region = "us-east-1"): Promise<string> {
  const client = createClient(simulator.url, { transport: "HTTP/1.1", region });
  try {
    await client.send(new ConverseCommand(ask(modelId, text)));
    return "ok";
  } catch (error) {
    return error instanceof Error ? error.name : "?";
  } finally {
    client.destroy();
  }
}

describe("a rule", () => {
  test("strikes each nth call, so many times, on the models it names", async () => {
    simulator.addFaults([
      { model: "*nova*", every: 2, times: 2, fault: { type: "error", name: "InternalServerException" } },
    ]);
    const outcomes: string[] = [];
    for (let call = 0; call < 6; call += 1) outcomes.push(await reply(NOVA));
    expect(outcomes).toEqual(["ok", "InternalServerException", "ok", "InternalServerException", "ok", "ok"]);
    expect(await reply("us.meta.llama3-3-70b-instruct-v1:0")).toBe("ok");
  });

  test("takes a whole Region out until it is removed", async () => {
    const [id] = simulator.addFaults([{ region: "eu-west-1", fault: "ServiceUnavailableException" }]);
    expect(await reply(NOVA, "Hello", "eu-west-1")).toBe("ServiceUnavailableException");
    expect(await reply(NOVA, "Hello", "us-east-1")).toBe("ok");
    simulator.removeFaults(id);
    expect(await reply(NOVA, "Hello", "eu-west-1")).toBe("ok");
  });

  test("comes and goes over HTTP, spelled in one word", async () => {
    const post = await fetch(`${simulator.url}/_sim/faults`, {
      method: "POST",
      body: JSON.stringify({ prompt: "poison", fault: "ValidationException" }),
    });
    expect(await post.json()).toEqual({ ids: [1] });
    expect(await reply(NOVA, "poison")).toBe("ValidationException");
    expect(await reply(NOVA)).toBe("ok");
    const list = await fetch(`${simulator.url}/_sim/faults`);
    expect(await list.json()).toMatchObject({ rules: [{ id: 1, matched: 1, struck: 1 }] });
    await fetch(`${simulator.url}/_sim/faults?id=1`, { method: "DELETE" });
    expect(await reply(NOVA, "poison")).toBe("ok");
  });

  test("that means nothing is refused where it is set", () => {
    expect(() => simulator.addFaults([{ fault: "Nonsense" }])).toThrow(/got "Nonsense"/);
  });

  test("that means nothing is refused over HTTP too", async () => {
    const post = await fetch(`${simulator.url}/_sim/faults`, {
      method: "POST",
      body: JSON.stringify({ fault: "Nonsense" }),
    });
    expect(post.status).toBe(400);
    expect(await post.text()).toContain("Nonsense");
  });
});

async function statusWith(headers: Record<string, string>): Promise<number> {
  const response = await fetch(`${simulator.url}/model/${encodeURIComponent(NOVA)}/invoke`, {
    method: "POST",
    headers: { authorization: "Bearer key", ...headers },
    body: JSON.stringify({ messages: [{ role: "user", content: [{ text: "Hello" }] }] }),
  });
  await response.text();
  return response.status;
}

test("a header asks for a fault on one request", async () => {
  expect(await statusWith({ "x-sim-fault": "ModelTimeoutException" })).toBe(408);
  expect(await statusWith({})).toBe(200);
});
