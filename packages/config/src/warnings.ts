/** What of a good pools file works, but hardly as its author meant. */
import type { Finding } from "./problems.ts";
import type { Pool } from "./rules.ts";
import type { Scope } from "./schema.ts";

export interface GoodFile {
  readonly scopes: Readonly<Record<string, Scope>>;
  readonly pools: Readonly<Record<string, Pool>>;
}

export function warnings({ scopes, pools }: GoodFile): Finding[] {
  return [...Object.values(pools).flatMap(shortTimeout), ...daysCountedApart(Object.values(scopes))];
}

/** Output tokens a second of the fastest models; most write a half or a quarter of it. */
const FASTEST_TOKENS_PER_SECOND = 100;

function shortTimeout({ name, callTimeoutMs, maxOutputTokens }: Pool): Finding[] {
  const neededSeconds = Math.ceil(maxOutputTokens / FASTEST_TOKENS_PER_SECOND);
  if (callTimeoutMs >= neededSeconds * 1_000) return [];
  return [
    {
      path: ["pools", name, "callTimeout"],
      message:
        `\`pools.${name}.callTimeout\` of ${callTimeoutMs / 1_000} s cannot hold \`maxOutputTokens\` of ` +
        `${maxOutputTokens}: at ${FASTEST_TOKENS_PER_SECOND} tokens a second they take ${neededSeconds} s. ` +
        "A call that is cut off has been paid for: raise the one or lower the other",
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
