/** Where an `async` job may have its answer written: a model writes with the fleet's rights, not with its caller's. */

/**
 * A sentence that says where the answer may go, when it may not go to `uri`.
 * @param allowed S3 prefixes such as `s3://bucket/answers`, each with everything below it.
 */
export function outputProblem(uri: string, allowed: readonly string[]): string | undefined {
  if (allowed.some((prefix) => isBelow(uri, prefix.replace(/\/+$/, "")))) return undefined;
  if (allowed.length === 0) {
    return "This pool takes no `async` jobs: its `asyncOutputs` names no place for their answers";
  }
  return `Expected \`outputS3Uri\` to be in one of ${allowed.join(", ")}`;
}

/** `s3://bucket/answers` does not hold `s3://bucket/answers-of-others`. */
function isBelow(uri: string, prefix: string): boolean {
  return uri === prefix || uri.startsWith(`${prefix}/`);
}
