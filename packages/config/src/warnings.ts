/** What of a good pools file works, but hardly as its author meant. */
import { LONGEST_CALL_MS, SLOW_TOKEN_MS } from "@sluice/job/time";
import type { Finding } from "./problems.ts";
import { isKnownRegion } from "./regions.ts";
import type { Pool } from "./rules.ts";
import type { Scope } from "./schema.ts";

export interface GoodFile {
  readonly scopes: Readonly<Record<string, Scope>>;
  readonly pools: Readonly<Record<string, Pool>>;
}

export function warnings({ scopes, pools }: GoodFile): Finding[] {
  return [
    ...Object.values(scopes).flatMap(unknownRegion),
    ...Object.values(pools).flatMap(shortTimeout),
    ...daysCountedApart(Object.values(scopes)),
  ];
}

/** A Region that does not exist has no address: every call would fail as if the network did. */
function unknownRegion({ name, region }: Scope): Finding[] {
  if (isKnownRegion(region)) return [];
  return [
    {
      path: ["scopes", name, "region"],
      message:
        `\`scopes.${name}.region\` is '${region}', which this version does not know. If it is no new Region of AWS, no ` +
        "call of this scope will find its address: correct it",
    },
  ];
}

/** A whole answer has `callTimeout`, and what a slow model needs to write it, but no longer than AWS allows. */
function shortTimeout({ name, callTimeoutMs, maxOutputTokens }: Pool): Finding[] {
  const tokens = Math.max(0, Math.floor((LONGEST_CALL_MS - callTimeoutMs) / SLOW_TOKEN_MS));
  if (maxOutputTokens <= tokens) return [];
  return [
    {
      path: ["pools", name, "callTimeout"],
      message:
        `\`pools.${name}.callTimeout\` of ${callTimeoutMs / 1_000} s leaves a slow model the time to write ${tokens} ` +
        `tokens before AWS ends the call, and \`maxOutputTokens\` is ${maxOutputTokens}: lower it, or ask for longer ` +
        "answers as streams. A call that is cut off has been paid for",
    },
  ];
}

/** Scopes of one account in one Region: each counts the day by itself, Bedrock counts them together. */
function daysCountedApart(scopes: readonly Scope[]): Finding[] {
  const byAccount = Map.groupBy(scopes, ({ profile, region }) => JSON.stringify([profile, region]));
  return [...byAccount.values()].flatMap((same) =>
    same.length === 1
      ? []
      : same
          .filter(({ tokensPerDay }) => tokensPerDay !== null)
          .map(({ name }) => ({
            path: ["scopes", name, "tokensPerDay"],
            message:
              `\`scopes.${name}.tokensPerDay\` is of an account and Region that ` +
              `${same
                .filter((other) => other.name !== name)
                .map((other) => `\`scopes.${other.name}\``)
                .join(", ")} ` +
              "has too, and each scope counts its own use only: put the pools into one scope, give each scope its " +
              "part, or name a `profile` for each when they are different accounts",
          })),
  );
}
