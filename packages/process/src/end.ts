/** The end of a program that cannot go on. */

/** One message for the operator, without a stack trace, and exit code 1: something starts it again. */
export function endProgram(name: string, sentence: string): never {
  process.stderr.write(`${name}: ${sentence}\n`);
  process.exit(1);
}
