/** A proxy in front of DynamoDB that sees every request and does to it what networks do. */
import { createServer, request as send } from "node:http";
import { z } from "zod";

/** One request to DynamoDB, e.g. operation `PutItem` with its parsed body. */
export interface WireRequest {
  readonly operation: string;
  readonly body: Record<string, unknown>;
}

/**
 * `pass` it on; `lose-answer`: pass it on and cut the connection instead of answering; `refuse`: cut it at once;
 * `hang`: never answer. An object is passed on in place of the body.
 */
export type Treatment = "pass" | "lose-answer" | "refuse" | "hang" | Record<string, unknown>;

export interface Wire {
  readonly url: string;
  readonly requests: readonly WireRequest[];
  /** Decides about each request from now on. */
  treat(treatment: (request: WireRequest) => Treatment): void;
  close(): Promise<void>;
}

const bodySchema = z.record(z.string(), z.unknown());
const letterSchema = z.object({ Item: z.object({ item: z.object({ S: z.literal("letter") }) }) });
const addressSchema = z.object({ port: z.int() });

function pass(): Treatment {
  return "pass";
}

export async function wireTo(target: string): Promise<Wire> {
  const requests: WireRequest[] = [];
  let decide: (request: WireRequest) => Treatment = pass;
  const server = createServer((incoming, answer) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const operation = String(incoming.headers["x-amz-target"]).split(".")[1] ?? "";
      const body = bodySchema.parse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      requests.push({ operation, body });
      const treatment = decide({ operation, body });
      if (treatment === "hang") return;
      if (treatment === "refuse") {
        incoming.socket.destroy();
        return;
      }
      const bytes = Buffer.from(JSON.stringify(typeof treatment === "object" ? treatment : body));
      const headers = { ...incoming.headers, "content-length": bytes.length };
      const outgoing = send(target, { method: "POST", headers }, (reply) => {
        if (treatment === "lose-answer") {
          reply.resume().on("end", () => incoming.socket.destroy());
          return;
        }
        answer.writeHead(reply.statusCode ?? 500, reply.headers);
        reply.pipe(answer);
      });
      outgoing.on("error", () => incoming.socket.destroy());
      outgoing.end(bytes);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${addressSchema.parse(server.address()).port}`,
    requests,
    treat: (treatment) => void (decide = treatment),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Treats the first request that fits; everything else passes. */
export function once(fits: (request: WireRequest) => boolean, treatment: Treatment) {
  let done = false;
  return (request: WireRequest): Treatment => {
    if (done || !fits(request)) return "pass";
    done = true;
    return treatment;
  };
}

/** Whether a request writes a letter, as opposed to a part of a body or a class. */
export function writesLetter({ operation, body }: WireRequest): boolean {
  return operation === "PutItem" && letterSchema.safeParse(body).success;
}
