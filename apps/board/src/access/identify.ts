/** Who a request comes from, by what the board was told to believe. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { localTime } from "@sluice/job";
import type { Identity } from "./identity.ts";
import { createPasswordCheck } from "./password-check.ts";
import type { AccessSettings } from "./settings.ts";
import type { Role } from "./user.ts";

export type Identify = (request: IncomingMessage) => Promise<Identity>;

export function createIdentify(settings: AccessSettings): Identify {
  switch (settings.type) {
    case "local":
      // Under which name it was asked for has been judged before.
      return async () => ({ type: "known", user: { name: "local", role: "admin" } });
    case "open":
      return async () => ({ type: "known", user: { name: "anonymous", role: "viewer" } });
    case "basic": {
      const check = createPasswordCheck({ accounts: settings.accounts, clock: localTime.monotonic });
      return async (request) => {
        const credentials = readBasic(only(request, "authorization"));
        if (credentials === undefined) return { type: "nobody" };
        const [name, password] = credentials;
        return check({ name, password, address: addressOf(request) });
      };
    }
    case "proxy":
      return async (request) => fromProxy(request, settings);
  }
}

function readBasic(header: string | undefined): [string, string] | undefined {
  const match = /^Basic ([A-Za-z0-9+/=]{1,1000})$/i.exec(header ?? "");
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const at = text.indexOf(":");
  return at < 1 ? undefined : [text.slice(0, at), text.slice(at + 1)];
}

/** The other end of the connection; `unknown` when it has gone. */
export function addressOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? "unknown").replace(/^::ffff:/, "");
}

/** A user's name, as proxies write it. A comma is none of it: that is how two headers of one name are joined. */
const PROXIED_NAME = /^[\x20-\x2b\x2d-\x7e]{1,100}$/;

/** Its headers are believed only from its address and with its secret: anybody can write a header. */
function fromProxy(
  request: IncomingMessage,
  { peers, secret, groups }: Extract<AccessSettings, { type: "proxy" }>,
): Identity {
  const address = addressOf(request);
  if (!peers.check(address, isIPv4(address) ? "ipv4" : "ipv6")) {
    return { type: "wrong", reason: "not an address of the proxy" };
  }
  if (!isSame(only(request, "x-sluice-proxy-secret") ?? "", secret)) {
    return { type: "wrong", reason: "not the secret of the proxy" };
  }
  const name = only(request, "x-forwarded-user") ?? "";
  if (!PROXIED_NAME.test(name)) return { type: "wrong", reason: "no name of a user, or more than one" };
  const given = request.headersDistinct["x-forwarded-groups"] ?? [];
  if (given.length > 1) return { type: "wrong", reason: "groups more than once" };
  const role = highest((given[0] ?? "").split(","), groups);
  if (role === undefined) return { type: "wrong", reason: "no group that has a role" };
  return { type: "known", user: { name, role } };
}

function highest(names: readonly string[], groups: ReadonlyMap<string, Role>): Role | undefined {
  const given = new Set(["*", ...names.map((name) => name.trim())].map((name) => groups.get(name)));
  return (["admin", "operator", "viewer"] as const).find((role) => given.has(role));
}

/**
 * The one value of a header; `undefined` when there is none, or more than one. Node joins those of one name, so that a
 * caller's own and the proxy's would be read as one; which of them is the proxy's nobody can tell.
 */
function only({ headersDistinct }: IncomingMessage, name: string): string | undefined {
  const values = headersDistinct[name] ?? [];
  return values.length === 1 ? values[0] : undefined;
}

/** Of equal length whatever was given, as the comparison wants it. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
