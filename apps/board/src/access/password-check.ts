/**
 * Passwords, checked at a bounded price. A check costs memory and time on purpose, so wrong ones are limited by who gives
 * them and for whom; the wrong ones of one are never a reason to refuse the right one of another.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "@sluice/job";
import { CheckLanes } from "./check-lanes.ts";
import { Allowance, countedAddress } from "./allowance.ts";
import type { Identity } from "./identity.ts";
import { noPasswordHash, verifyPassword } from "./passwords.ts";
import type { Account } from "./settings.ts";

export interface Attempt {
  readonly name: string;
  readonly password: string;
  /** Where it comes from. */
  readonly address: string;
}

/** A password that was right is not computed again while it is used at least so often, milliseconds. */
const IDLE_MS = 30 * 60_000;

/** And never for longer than this, however it is used. */
const LONGEST_MS = 12 * 3_600_000;

/** Logins that are remembered, and wrong passwords. The oldest go first. */
const MOST_REMEMBERED = 1_000;

/** A wrong password that is given again is known to be wrong for so long: a page asks for all its parts with it. */
const WRONG_MS = 60_000;

/** Wrong passwords of one address for one user: five, then one in twenty seconds. */
const OF_PAIR = { most: 5, everyMs: 20_000 };
/** Of one address for all users. */
const OF_ADDRESS = { most: 20, everyMs: 6_000 };
/** For one user from all addresses. It does not hold for addresses from which the user has got in. */
const OF_USER = { most: 50, everyMs: 6_000 };

interface Login {
  readonly checkedAt: number;
  usedAt: number;
}

export interface PasswordCheckOptions {
  readonly accounts: readonly Account[];
  readonly clock: Clock;
  /** Default: by scrypt. */
  readonly verify?: (password: string, hash: string) => Promise<boolean>;
}

/** Who gives which password, from where. Never rejects. */
export function createPasswordCheck({
  accounts,
  clock,
  verify = verifyPassword,
}: PasswordCheckOptions): (attempt: Attempt) => Promise<Identity> {
  const byName = new Map(accounts.map((account) => [account.name, account]));
  // Somebody who does not exist costs as much as somebody who does.
  const nobody = noPasswordHash();
  const salt = randomBytes(32);
  const logins = new Map<string, Login>();
  const wrong = new Map<string, number>();
  /** User and address, where the user has got in. */
  const proven = new Map<string, number>();
  const lanes = new CheckLanes();
  const pairs = new Allowance(OF_PAIR, clock);
  const addresses = new Allowance(OF_ADDRESS, clock);
  const users = new Allowance(OF_USER, clock);

  const digest = (text: string): string => createHash("sha256").update(salt).update(text).digest("hex");

  function isRemembered(key: string): boolean {
    const login = logins.get(key);
    if (login === undefined) return false;
    const now = clock();
    if (now - login.checkedAt >= LONGEST_MS || now - login.usedAt >= IDLE_MS) {
      logins.delete(key);
      return false;
    }
    login.usedAt = now;
    return true;
  }

  /** How long to wait before this may be checked, milliseconds. */
  function waitMs(user: string, address: string): number {
    const pair = `${user} ${address}`;
    const isFirst = pairs.isUntouched(pair);
    return Math.max(
      pairs.waitMs(pair),
      // Many sit behind one address: the first try of each is not refused for what the others have got wrong. A name
      // that is none has the same, or an answer would say which names are some.
      isFirst ? 0 : addresses.waitMs(address),
      proven.has(pair) ? 0 : users.waitMs(user),
    );
  }

  return async ({ name, password, address: from }) => {
    const account = byName.get(name);
    const told = account === undefined ? {} : { user: name };
    const key = digest(`${name}\0${password}`);
    const known = (): Identity =>
      account === undefined
        ? { type: "wrong", reason: "no such user" }
        : { type: "known", user: { name: account.name, role: account.role } };
    if (isRemembered(key)) return known();
    const address = countedAddress(from);
    // The name as it was given, whether somebody has it or not; hashed, as it may be long, or a password.
    const user = digest(name);
    if ((wrong.get(key) ?? 0) > clock())
      return { type: "wrong", ...told, reason: "the same wrong password again" };
    const wait = waitMs(user, address);
    if (wait > 0) return { type: "later", ...told, afterS: Math.ceil(wait / 1_000) };
    const isRight = await lanes.check({ key, user, address }, async () =>
      verify(password, account?.hash ?? nobody),
    );
    if (isRight === undefined) return { type: "later", ...told, afterS: BUSY_S };
    const now = clock();
    if (isRight && account !== undefined) {
      keep(logins, key, { checkedAt: now, usedAt: now });
      keep(proven, `${user} ${address}`, now);
      return known();
    }
    // Once for all who shared the check.
    if (!wrong.has(key) || (wrong.get(key) ?? 0) <= now) {
      keep(wrong, key, now + WRONG_MS);
      pairs.spend(`${user} ${address}`);
      addresses.spend(address);
      users.spend(user);
    }
    return { type: "wrong", ...told, reason: account === undefined ? "no such user" : "wrong password" };
  };
}

/** When to come again where too many checks wait, seconds. */
const BUSY_S = 2;

/** Adds as the newest; the oldest beyond the bound goes. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= MOST_REMEMBERED) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
