/** Requests that no library would send: any method, any header, any path as it is, and bytes that are no HTTP. */
import { once } from "node:events";
import { request, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Ask {
  readonly method?: string;
  /** A flat list of names and values is sent in its order, doubled ones too. */
  readonly headers?: Readonly<Record<string, string | number>> | readonly string[];
  readonly body?: string | Uint8Array | undefined;
  /** An address of loopback to come from. Default: the system's choice. */
  readonly from?: string;
  /** Default 30,000. */
  readonly timeoutMs?: number;
}

export interface Reply {
  /** 0 when the connection ended without an answer. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const TIMEOUT_MS = 30_000;

/** @param path is sent as it is. Never rejects: a connection that was cut is an answer too. */
export async function ask(base: string, path: string, options: Ask = {}): Promise<Reply> {
  const { method = "GET", headers = {}, body, from, timeoutMs = TIMEOUT_MS } = options;
  const { hostname, port } = new URL(base);
  try {
    const sent = request({
      host: hostname,
      port,
      path,
      method,
      headers: isFlat(headers) ? [...headers] : { ...headers, ...lengthOf(body) },
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const answered = Promise.race([
      once(sent, "response").then(([response]) => response),
      // CONNECT and upgrades are answered beside.
      ...["connect", "upgrade"].map(async (event) => {
        const [response, socket] = await once(sent, event);
        socket.destroy();
        return response;
      }),
    ]);
    sent.end(body);
    const response = await answered;
    response.setEncoding("utf8");
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode, headers: response.headers, text };
  } catch (error) {
    return { status: 0, headers: {}, text: error instanceof Error ? error.message : String(error) };
  }
}

/** By itself Node sends the body of a read without a length, and so as the next request. */
function lengthOf(body: Ask["body"]): { "content-length": number } | undefined {
  return body === undefined ? undefined : { "content-length": Buffer.byteLength(body) };
}

function isFlat(headers: NonNullable<Ask["headers"]>): headers is readonly string[] {
  return Array.isArray(headers);
}

/** Posts JSON. */
export async function askJson(
  base: string,
  path: string,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const typed = { "content-type": "application/json", ...headers };
  return ask(base, path, { method: "POST", headers: typed, body: JSON.stringify(value) });
}

/** An open connection to a server. Its errors are nobody's business. */
export async function open(base: string, from?: string): Promise<Socket> {
  const { hostname, port } = new URL(base);
  const local = from === undefined ? {} : { localAddress: from };
  const socket = connect({ host: hostname, port: Number(port), ...local });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Resolves when a connection has ended, well or not. */
export async function closed(socket: Socket): Promise<void> {
  if (socket.closed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  await promise;
}

/**
 * Sends bytes as they are. Resolves to all that came back when the server closed the connection, or has said nothing
 * for `quietMs`.
 */
export async function raw(base: string, bytes: string | Uint8Array, quietMs = 300): Promise<string> {
  const socket = await open(base);
  let text = "";
  let heardAt = performance.now();
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += String(chunk);
    heardAt = performance.now();
  });
  const over = closed(socket).then(() => true);
  socket.write(bytes);
  const from = performance.now();
  for (;;) {
    if (await Promise.race([over, sleep(50, false)])) break;
    const now = performance.now();
    // The first answer may take its time on a busy machine.
    if (now - heardAt > (text === "" ? 10 * quietMs : quietMs) || now - from > TIMEOUT_MS) break;
  }
  socket.destroy();
  return text;
}

/** The status lines of what `raw` brought. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
}

/** Sends a whole request and resets the connection `afterMs` later, without waiting for the answer. */
export async function sendAndReset(base: string, bytes: string, afterMs: number): Promise<void> {
  const socket = await open(base);
  socket.write(bytes);
  await sleep(afterMs);
  socket.resetAndDestroy();
}

/** A request as bytes. */
export function written(base: string, line: string, headers: readonly string[], body = ""): string {
  const length = body === "" ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  return `${[`${line} HTTP/1.1`, `host: ${new URL(base).host}`, ...headers, ...length].join("\r\n")}\r\n\r\n${body}`;
}

/** The header of a password. */
export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}
