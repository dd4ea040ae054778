/** What every request passes before it reaches a page: who is it, does it come from our own pages, and the record of it. */
import { isFromElsewhere } from "@sluice/process";
import type { RequestHandler } from "express";
import helmet from "helmet";
import { asUser } from "./user.ts";
import type { FailedLogins } from "./failed-logins.ts";
import { addressOf, type Identify } from "./identify.ts";

/**
 * Bull Board's styles are written by its script. Nothing else is allowed from anywhere else, so what a prompt smuggles
 * into a page has no way out.
 */
export const securityHeaders: RequestHandler = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      fontSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      connectSrc: ["'self'"],
      workerSrc: ["'self'"],
      objectSrc: ["'none'"],
      baseUri: ["'self'"],
      frameAncestors: ["'none'"],
      formAction: ["'self'"],
    },
  },
  xFrameOptions: { action: "deny" },
});

/** Lets nobody in but users. The board's own script polls: it gets JSON, never a login page. */
export function authenticated(
  identify: Identify,
  { asksForPassword, failures }: { readonly asksForPassword: boolean; readonly failures: FailedLogins },
): RequestHandler {
  return async (request, response, next) => {
    const identity = await identify(request);
    if (identity.type === "known") {
      asUser(identity.user, next);
      return;
    }
    if (identity.type !== "nobody") {
      const reason = identity.type === "wrong" ? identity.reason : "too many tries";
      failures.add({ from: addressOf(request), user: identity.user, reason });
    }
    const isLater = identity.type === "later";
    response.status(isLater ? 429 : 401);
    if (isLater) response.set("retry-after", String(identity.afterS));
    // Also for the script's polls: a browser sends a password it knows to other folders of a site only when asked there.
    else if (asksForPassword) response.set("www-authenticate", 'Basic realm="Sluice", charset="UTF-8"');
    const message = isLater
      ? `Too many wrong passwords. Try again in ${identity.afterS} s`
      : "Your session has ended. Load the page again";
    if (request.path.startsWith("/api/")) {
      response.json({ error: isLater ? "Too Many Requests" : "Unauthorized", message });
      return;
    }
    response.type("text").send(isLater ? `${message}.\n` : "This board is for people it knows.\n");
  };
}

/**
 * Refuses writes that another site made a browser send. Browsers say where a request comes from; whoever says nothing is
 * no browser, and had to bring its own credentials.
 */
export const sameOrigin: RequestHandler = (request, response, next) => {
  if (request.method === "GET" || request.method === "HEAD" || !isFromElsewhere(request.headers)) {
    next();
    return;
  }
  response.status(403).json({ error: "Forbidden", message: "This request comes from another site" });
};
