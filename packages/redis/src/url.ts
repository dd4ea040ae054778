/**
 * The address of a Redis, read as strictly as it must be: the driver takes whatever it cannot read of a path for
 * database 0, which is the one that production uses.
 */

/** A number, as Redis writes the index of a database. */
const DATABASE = /^(?:0|[1-9]\d{0,5})$/;

/** What the driver would take from behind the `?` for options of its own. */
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(["family"]);

/**
 * The database that a URL names; 0 when it names none.
 * @throws RangeError saying what was expected. User and password are never part of it.
 */
export function databaseOf(url: string): number {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new RangeError("Expected the URL of Redis to be one such as redis://127.0.0.1:6379");
  }
  const { pathname, search, searchParams, hash } = new URL(url);
  // A password with one of these signs ends the address early, and the rest of it would be quoted below.
  if (`${pathname}${search}${hash}`.includes("@")) {
    throw new RangeError(
      "Expected the signs / ? # and @ of a password in the URL of Redis to be written as %2F, %3F, %23 and %40",
    );
  }
  for (const name of searchParams.keys()) {
    if (KNOWN_OPTIONS.has(name)) continue;
    throw new RangeError(
      `Expected the URL of Redis to have no option but \`family\`, got \`${name}\`. A database is named by its path`,
    );
  }
  const path = pathname.replace(/^\//, "");
  if (path === "") return 0;
  if (DATABASE.test(path)) return Number(path);
  throw new RangeError(
    `Expected the path of the Redis URL to be the number of a database such as /0, got '/${path}'`,
  );
}
