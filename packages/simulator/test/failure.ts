/** What a promise is rejected with; undefined when it is fulfilled. */
export async function failureOf(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise.then(() => undefined);
  } catch (error) {
    return error;
  }
}
