/** Why a call is refused by a quota, in the words of the service. */
import type { ThrottledBy } from "./meter.ts";

/** Why a call was throttled; `overloaded` is a lack of shared capacity, not a quota. */
export type ThrottleKind = ThrottledBy | "overloaded";

/** What each kind says on the wire, and how it is told apart. `{model}` stands for the model id. */
export const throttleMessage: Readonly<Record<ThrottleKind, string>> = {
  requests: "Too many requests, please wait before trying again.",
  tokens: "Too many tokens, please wait before trying again.",
  "tokens-per-day": "Too many tokens per day, please wait before trying again.",
  overloaded: "Model {model} is currently overloaded. Please try again later.",
};

/** The kind a throttle message stands for. */
export function throttleKind(message: string): ThrottleKind {
  if (/tokens per day/i.test(message)) return "tokens-per-day";
  if (/too many tokens/i.test(message)) return "tokens";
  return /overloaded/i.test(message) ? "overloaded" : "requests";
}
