/** Passwords as they are stored: salted and hashed by scrypt, with its parameters beside it. */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** OWASP's first choice for scrypt. 128 x N x r bytes of memory per check. */
const N = 2 ** 17;
const R = 8;
const P = 1;
const KEY_BYTES = 32;
const SALT_BYTES = 16;

const HASH = /^scrypt:(\d{1,8}):(\d{1,2}):(\d{1,2}):([0-9a-f]{16,128}):([0-9a-f]{32,128})$/;

/** `scrypt:<N>:<r>:<p>:<salt>:<key>`, salt and key in hexadecimal. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password.normalize(), salt, KEY_BYTES, options(N, R, P));
  return `scrypt:${N}:${R}:${P}:${salt.toString("hex")}:${key.toString("hex")}`;
}

/** A hash of no password: what is compared with it costs as much as with any other. */
export function noPasswordHash(): string {
  const [salt, key] = [randomBytes(SALT_BYTES), randomBytes(KEY_BYTES)];
  return `scrypt:${N}:${R}:${P}:${salt.toString("hex")}:${key.toString("hex")}`;
}

export function isPasswordHash(text: string): boolean {
  return HASH.test(text);
}

/** Takes as long for a wrong password as for the right one. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const match = HASH.exec(hash);
  if (match === null) return false;
  const [, n, r, p, salt = "", key = ""] = match;
  const expected = Buffer.from(key, "hex");
  const parameters = options(Number(n), Number(r), Number(p));
  const found = await derive(password.normalize(), Buffer.from(salt, "hex"), expected.length, parameters);
  return timingSafeEqual(found, expected);
}

function options(cost: number, blockSize: number, parallelization: number): ScryptOptions {
  return { cost, blockSize, parallelization, maxmem: 256 * cost * blockSize };
}
