/** Times as people say them. Pure. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A time as people say it, rounded up: the two largest units are enough. */
export function spell(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms));
  if (whole < SECOND) return `${whole} ms`;
  const seconds = Math.ceil(whole / SECOND) * SECOND;
  if (seconds < MINUTE) return `${seconds / SECOND} s`;
  if (seconds < HOUR) return two(seconds, MINUTE, "min", SECOND, "s");
  return two(seconds, HOUR, "h", MINUTE, "min");
}

function two(ms: number, unit: number, name: string, rest: number, restName: string): string {
  const more = Math.floor((ms % unit) / rest);
  return `${Math.floor(ms / unit)} ${name}${more === 0 ? "" : ` ${more} ${restName}`}`;
}
