/** Who asks, and what each role may do. */
import { AsyncLocalStorage } from "node:async_hooks";
import { z } from "zod";
import { Refused } from "../refusal.ts";

/**
 * `viewer` sees everything but prompts. `operator` replays, edits, parks and notes, without seeing the prompts it does
 * not replace. `admin` also reads prompts, and deletes.
 */
export const roleSchema = z.enum(["viewer", "operator", "admin"]);
export type Role = z.infer<typeof roleSchema>;

export interface User {
  readonly name: string;
  readonly role: Role;
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

export function may(user: User, role: Role): boolean {
  return RANK[user.role] >= RANK[role];
}

/** @throws Refused unless the user has this role or a higher one. */
export function demand(user: User, role: Role): void {
  if (may(user, role)) return;
  throw new Refused(403, `This needs the role ${role}; ${user.name} is ${user.role}`);
}

const storage = new AsyncLocalStorage<User>();

/** Runs what follows for this user. Bull Board's adapters get no request, so this is how they know. */
export function asUser<T>(user: User, work: () => T): T {
  return storage.run(user, work);
}

/** @throws Error outside of a request. */
export function currentUser(): User {
  const user = storage.getStore();
  if (user === undefined) throw new Error("Expected a user, got none: this is no request");
  return user;
}
