/** Hashes the password on standard input, for `SLUICE_BOARD_USERS`. */
import { text } from "node:stream/consumers";
import { hashPassword } from "./passwords.ts";

const password = (await text(process.stdin)).replace(/\r?\n$/, "");
if (password.length < 12) {
  process.stderr.write(`Expected a password of at least 12 characters, got ${password.length}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(`${await hashPassword(password)}\n`);
}
