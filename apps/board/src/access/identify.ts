/** Who a request comes from, by what the board was told to believe. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { hashPassword, verifyPassword } from "./passwords.ts";
import type { AccessSettings, Account } from "./settings.ts";
import type { Role, User } from "./user.ts";

/** `undefined`: nobody the board knows. */
export type Identify = (request: IncomingMessage) => Promise<User | undefined>;

/** Resolves when it is ready to answer. */
export async function createIdentify(settings: AccessSettings): Promise<Identify> {
  switch (settings.type) {
    case "local":
      // Under which name it was asked for has been judged before.
      return async () => ({ name: "local", role: "admin" });
    case "open":
      return async () => ({ name: "anonymous", role: "viewer" });
    case "basic":
      return basic(settings.accounts);
    case "proxy":
      return async (request) => fromProxy(request, settings);
  }
}

/** How long a password that was right is not computed again: the board's pages ask every few seconds. */
const REMEMBER_MS = 5 * 60_000;

/** Checks that wait for their turn. More are turned away: each costs memory and time. */
const MOST_WAITING = 16;

async function basic(accounts: readonly Account[]): Promise<Identify> {
  const byName = new Map(accounts.map((account) => [account.name, account]));
  // Somebody who does not exist costs as much as somebody who does.
  const nobody = await hashPassword(randomBytes(16).toString("hex"));
  const salt = randomBytes(32);
  const remembered = new Map<string, number>();
  const checking = new Map<string, Promise<boolean>>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One at a time, and each password once: a page asks for all its parts together. */
  async function check(key: string, name: string, password: string): Promise<boolean> {
    const underWay = checking.get(key);
    if (underWay !== undefined) return underWay;
    if (checking.size >= MOST_WAITING) return false;
    const account = byName.get(name);
    const checked = turn
      .then(async () => (await verifyPassword(password, account?.hash ?? nobody)) && account !== undefined)
      .finally(() => checking.delete(key));
    checking.set(key, checked);
    turn = checked.catch(() => undefined);
    return checked;
  }

  return async (request) => {
    const credentials = readBasic(request.headers.authorization);
    if (credentials === undefined) return undefined;
    const [name, password] = credentials;
    const key = createHash("sha256").update(salt).update(`${name}\0${password}`).digest("hex");
    const now = Date.now();
    if ((remembered.get(key) ?? 0) < now) {
      if (!(await check(key, name, password))) return undefined;
      for (const [old, until] of remembered) if (until < now) remembered.delete(old);
      remembered.set(key, now + REMEMBER_MS);
    }
    const account = byName.get(name);
    return account && { name: account.name, role: account.role };
  };
}

function readBasic(header: string | undefined): [string, string] | undefined {
  const match = /^Basic ([A-Za-z0-9+/=]{1,1000})$/i.exec(header ?? "");
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const at = text.indexOf(":");
  return at < 1 ? undefined : [text.slice(0, at), text.slice(at + 1)];
}

/** Its headers are believed only from its address and with its secret: anybody can write a header. */
function fromProxy(
  { headers, socket }: IncomingMessage,
  { peers, secret, groups }: Extract<AccessSettings, { type: "proxy" }>,
): User | undefined {
  const address = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  if (!peers.check(address, isIPv4(address) ? "ipv4" : "ipv6")) return undefined;
  if (!isSame(single(headers["x-sluice-proxy-secret"]), secret)) return undefined;
  const name = single(headers["x-forwarded-user"]);
  if (!/^[\x20-\x7e]{1,100}$/.test(name)) return undefined;
  const role = highest(single(headers["x-forwarded-groups"]).split(","), groups);
  return role && { name, role };
}

function highest(names: readonly string[], groups: ReadonlyMap<string, Role>): Role | undefined {
  const given = new Set(["*", ...names.map((name) => name.trim())].map((name) => groups.get(name)));
  return (["admin", "operator", "viewer"] as const).find((role) => given.has(role));
}

/** A header that came twice is none: a proxy sends its own once. */
function single(value: string | string[] | undefined): string {
  return typeof value === "string" ? value : "";
}

/** Of equal length whatever was given, as the comparison wants it. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
