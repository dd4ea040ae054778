/**
 * Whether a write may have been sent by a page of another site. A browser sends a form or a plain text anywhere, with
 * what it knows of its user; JSON only where it was allowed to. It says where a request comes from; whoever says nothing
 * is no browser.
 */
import type { IncomingHttpHeaders } from "node:http";

/** Whether the request says that it comes from another origin than the one it goes to. */
export function isFromElsewhere(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined) return site !== "same-origin";
  const { origin, host } = headers;
  if (origin === undefined) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/** Whether a request changes nothing, carries JSON, or comes from our own pages or from no page at all. */
export function isSafeFromOtherSites(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return true;
  return isJson(headers["content-type"]) || !isFromElsewhere(headers);
}

function isJson(type: string | undefined): boolean {
  return /^application\/json\s*(;|$)/i.test((type ?? "").trim());
}
