/**
 * Where the keys of a scope live. Every key carries the scope as its cluster hash tag, so a script that
 * touches queue, limits and results of one scope stays in one slot while scopes spread over shards.
 */

/** The prefix of all keys of one scope, e.g. `sluice:{main}`. Also the BullMQ prefix of the scope's queues. */
export type KeySpace = `${string}:{${string}}`;

const NAMESPACE = /^[a-z0-9][a-z0-9-]*$/;

/**
 * @param namespace separates installations (and tests) that share one Redis. Lower case letters, digits, `-`.
 * @param scope one AWS account in one Region, as named in the pools file.
 * @throws RangeError when a part could break the hash tag or collide with another key space.
 */
export function keySpace(namespace: string, scope: string): KeySpace {
  for (const [what, value] of Object.entries({ namespace, scope })) {
    if (!NAMESPACE.test(value)) {
      throw new RangeError(`Expected ${what} to be lower case letters, digits and '-', got '${value}'`);
    }
  }
  return `${namespace}:{${scope}}`;
}
