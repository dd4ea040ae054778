/**
 * Whether a request asks for us. A page of another site can make its own name lead to this machine (DNS rebinding), and
 * its script is then of the same origin as our answers; but it asks under that name. So callers have to use one of ours.
 */
import type { IncomingMessage } from "node:http";

/** Any name. For a proxy in front that has judged the name already. */
const ANY = "*";

/** Addresses that stand for all addresses of this machine, and are no name of it. */
const UNSPECIFIED = new Set(["0.0.0.0", "::"]);

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/**
 * Makes the judge of names. Loopback, the address a request came in on and `host` are always ours.
 * @param host what the program listens on, as configured.
 * @param allowed more names, without ports. `*` allows any.
 */
export function hostCheck(host: string, allowed: readonly string[]): (request: HostedRequest) => boolean {
  const names = new Set([...LOOPBACK, ...(UNSPECIFIED.has(host) ? [] : [host]), ...allowed].map(normal));
  if (allowed.includes(ANY)) return () => true;
  return ({ headers, socket }) => {
    const name = nameOf(headers.host ?? headers[":authority"]);
    if (name === undefined) return false;
    return names.has(name) || name === normal(socket.localAddress ?? "");
  };
}

/** What of a request of HTTP/1.1 or HTTP/2 says where it wants to go. */
export interface HostedRequest {
  readonly headers: IncomingMessage["headers"] & { readonly ":authority"?: string | undefined };
  readonly socket: { readonly localAddress?: string | undefined };
}

/** What a refused caller is told. `setting` is how an operator allows the name. */
export function misdirected(setting: string): string {
  return `This program does not answer to the name in the Host header. Use its address, or add the name to ${setting}`;
}

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:\s/?#@[\]]+)(?::\d{1,5})?$/i;

/** The name of `name:port`, in one spelling; `undefined` for what is none. */
function nameOf(authority: string | undefined): string | undefined {
  const [, name] = AUTHORITY.exec(authority ?? "") ?? [];
  return name === undefined ? undefined : normal(name);
}

/** Addresses of IPv6 stand in brackets, and one of IPv4 may look like one of IPv6. */
function normal(name: string): string {
  const lower = name
    .toLowerCase()
    .replace(/\.$/, "")
    .replace(/^::ffff:(?=\d+\.)/, "");
  return lower.includes(":") && !lower.startsWith("[") ? `[${lower}]` : lower;
}
