/** How the board learns who its callers are, decided once from its environment. */
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { isPasswordHash } from "./passwords.ts";
import { roleSchema, type Role } from "./user.ts";

export interface Account {
  readonly name: string;
  readonly role: Role;
  readonly hash: string;
}

export type AccessSettings =
  /** Nobody is asked: whoever reaches loopback owns the machine. */
  | { readonly type: "local" }
  /** Nobody is asked although strangers may come; they may look. */
  | { readonly type: "open" }
  | { readonly type: "basic"; readonly accounts: readonly Account[] }
  | { readonly type: "proxy"; readonly peers: BlockList; readonly secret: string; readonly groups: Groups };

/** Group to role; `*` is everybody the proxy lets through. */
export type Groups = ReadonlyMap<string, Role>;

/** Shorter secrets are guessed. */
const SHORTEST_SECRET = 24;

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

export interface AccessEnv {
  readonly HOST: string;
  readonly SLUICE_ALLOW_UNAUTHENTICATED: boolean;
  readonly SLUICE_BOARD_USERS?: string | undefined;
  readonly SLUICE_BOARD_PROXY_PEERS?: string | undefined;
  readonly SLUICE_BOARD_PROXY_SECRET?: string | undefined;
  readonly SLUICE_BOARD_PROXY_GROUPS?: string | undefined;
}

/** @throws Error saying what to set, also when nobody would be asked on an address that strangers can reach. */
export function accessSettings(env: AccessEnv): AccessSettings {
  const { SLUICE_BOARD_USERS: users, SLUICE_BOARD_PROXY_PEERS: peers } = env;
  if (users !== undefined && peers !== undefined) {
    throw new Error("Expected either SLUICE_BOARD_USERS or SLUICE_BOARD_PROXY_PEERS, got both");
  }
  if (users !== undefined) return { type: "basic", accounts: parseAccounts(users) };
  if (peers !== undefined) return proxy(peers, env);
  if (LOOPBACK.has(env.HOST)) return { type: "local" };
  if (env.SLUICE_ALLOW_UNAUTHENTICATED) return { type: "open" };
  throw new Error(
    `HOST is ${env.HOST}, which strangers can reach, and the board has not been told who may use it. ` +
      "Set SLUICE_BOARD_USERS, or SLUICE_BOARD_PROXY_PEERS with SLUICE_BOARD_PROXY_SECRET, or HOST to 127.0.0.1",
  );
}

const nameSchema = z.string().regex(/^[A-Za-z0-9._@-]{1,100}$/);

/** `name:role:hash`, separated by white space. */
function parseAccounts(text: string): Account[] {
  const accounts = words(text).map((word) => {
    const [name, role, ...rest] = word.split(":");
    const hash = rest.join(":");
    const parsed = z.object({ name: nameSchema, role: roleSchema }).safeParse({ name, role });
    // The word itself may hold a password in clear.
    if (!parsed.success || !isPasswordHash(hash)) {
      throw new Error(
        `Expected each of SLUICE_BOARD_USERS to be name:role:hash, got something else for '${name ?? ""}'. ` +
          "Roles are viewer, operator and admin; make a hash with `pnpm --filter @sluice/board hash-password`",
      );
    }
    return { ...parsed.data, hash };
  });
  const names = new Set(accounts.map(({ name }) => name));
  if (accounts.length === 0 || names.size < accounts.length) {
    throw new Error("Expected SLUICE_BOARD_USERS to name at least one user, and each only once");
  }
  return accounts;
}

function proxy(peers: string, env: AccessEnv): AccessSettings {
  const { SLUICE_BOARD_PROXY_SECRET: secret = "", SLUICE_BOARD_PROXY_GROUPS: groups = "" } = env;
  if (secret.length < SHORTEST_SECRET) {
    throw new Error(
      `Expected SLUICE_BOARD_PROXY_SECRET to have at least ${SHORTEST_SECRET} characters, got ${secret.length}`,
    );
  }
  const roles = new Map(words(groups).map(parseGroup));
  if (roles.size === 0) {
    throw new Error(
      "Expected SLUICE_BOARD_PROXY_GROUPS to give a role to a group, e.g. 'oncall=operator *=viewer'",
    );
  }
  return { type: "proxy", peers: parsePeers(peers), secret, groups: roles };
}

function parseGroup(word: string): [string, Role] {
  const at = word.lastIndexOf("=");
  const role = roleSchema.safeParse(word.slice(at + 1));
  if (at > 0 && role.success) return [word.slice(0, at), role.data];
  throw new Error(`Expected each of SLUICE_BOARD_PROXY_GROUPS to be group=role, got '${word}'`);
}

/** Addresses and subnets, e.g. `10.0.0.5 fd00::/8`. */
function parsePeers(text: string): BlockList {
  const list = new BlockList();
  for (const word of words(text)) {
    const [address = "", prefix] = word.split("/");
    const version = isIP(address);
    const bits = prefix === undefined ? undefined : Number(prefix);
    const known =
      bits === undefined || (Number.isInteger(bits) && bits >= 1 && bits <= (version === 4 ? 32 : 128));
    if (version === 0 || !known) {
      throw new Error(
        `Expected each of SLUICE_BOARD_PROXY_PEERS to be an address or a subnet, got '${word}'`,
      );
    }
    const family = version === 4 ? "ipv4" : "ipv6";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, bits, family);
  }
  return list;
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
