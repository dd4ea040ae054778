/** Keys that hold another type than whoever reads them expects: of a job, that nobody can run it. */

/** Whether an error says that a key holds another type. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.includes("WRONGTYPE");
}

/** What was read; `otherwise` when the key holds another type. Rejects with every other error. */
export async function unlessWrongType<T, U>(read: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await read;
  } catch (error) {
    if (isWrongType(error)) return otherwise;
    throw error;
  }
}
