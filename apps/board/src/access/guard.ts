/** What every request passes before it reaches a page: who is it, does it come from our own pages, and the record of it. */
import type { Request, RequestHandler } from "express";
import helmet from "helmet";
import { asUser, currentUser, type User } from "./user.ts";
import type { Identify } from "./identify.ts";

/** One write, or one look at a prompt: who, what, and how it went. */
export interface AuditEntry {
  readonly user: string;
  readonly role: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** What the path does not say, e.g. how many letters a replay was started for. */
  readonly detail?: string;
}

export type Audit = (entry: AuditEntry) => void;

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
export function authenticated(identify: Identify, asksForPassword: boolean): RequestHandler {
  return async (request, response, next) => {
    const user = await identify(request);
    if (user !== undefined) {
      asUser(user, next);
      return;
    }
    response.status(401);
    // Also for the script's polls: a browser sends a password it knows to other folders of a site only when asked there.
    if (asksForPassword) response.set("www-authenticate", 'Basic realm="Sluice", charset="UTF-8"');
    if (request.path.startsWith("/api/")) {
      response.json({ error: "Unauthorized", message: "Your session has ended. Load the page again" });
      return;
    }
    response.type("text").send("This board is for people it knows.\n");
  };
}

/**
 * Refuses writes that another site made a browser send. Browsers say where a request comes from; whoever says nothing is
 * no browser, and had to bring its own credentials.
 */
export const sameOrigin: RequestHandler = (request, response, next) => {
  if (request.method === "GET" || request.method === "HEAD" || isFromHere(request)) {
    next();
    return;
  }
  response.status(403).json({ error: "Forbidden", message: "This request comes from another site" });
};

function isFromHere({ headers }: Request): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined) return site === "same-origin";
  const { origin, host } = headers;
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** Writes down every write when it is over, refused ones too. */
export function audited(audit: Audit): RequestHandler {
  return (request, response, next) => {
    const user: User = currentUser();
    const { method, originalUrl } = request;
    response.once("finish", () => {
      const detail: unknown = response.locals["audit"];
      const isWrite = method !== "GET" && method !== "HEAD";
      if (!isWrite && typeof detail !== "string") return;
      audit({
        user: user.name,
        role: user.role,
        method,
        path: originalUrl.split("?", 1)[0] ?? "",
        status: response.statusCode,
        ...(typeof detail === "string" ? { detail } : {}),
      });
    });
    next();
  };
}
