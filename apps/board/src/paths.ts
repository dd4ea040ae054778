/** Where the board's own pages are, and Bull Board's of the same things. */

/** The dead letters. */
export const PAGE = "/dead-letters";
export const POOLS = "/pools";

/** The letters of an error class on the board, or one of them. */
export function boardUrl(errorClass: string, id?: string): string {
  const queue = `/queue/dead-letter.${encodeURIComponent(errorClass)}`;
  return id === undefined ? queue : `${queue}/${encodeURIComponent(id)}`;
}

export function letterUrl(id: string): string {
  return `${PAGE}/letter/${encodeURIComponent(id)}`;
}
