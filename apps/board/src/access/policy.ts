/** Which of Bull Board's writes are offered at all, and to whom. What is not named here is refused. */
import type { BoardHooks } from "@bull-board/api/typings/app";
import { MOST_LISTED } from "@sluice/queue";
import type { RequestHandler } from "express";
import { currentUser, may, type Role } from "./user.ts";

const WRITES: Readonly<Record<string, Role>> = {
  "/api/queues/:queueName/:jobId/retry": "operator",
  "/api/queues/:queueName/:jobId/promote": "operator",
  "/api/queues/:queueName/:jobId/update-data": "operator",
  "/api/queues/:queueName/:jobId/clean": "admin",
  "/api/queues/:queueName/clean/:queueStatus": "admin",
  "/api/queues/:queueName/empty": "admin",
};

/**
 * Bull Board offers pages of up to so many jobs, and its server would read pages of any size. Whoever asks for more gets
 * the longest there are, and is told how many pages that makes.
 */
export const boundedPages: RequestHandler = (request, _response, next) => {
  const at = request.url.indexOf("?");
  // A second question mark is part of the query, as for the parser that comes after.
  const parameters = new URLSearchParams(at === -1 ? "" : request.url.slice(at + 1));
  if (parameters.getAll("jobsPerPage").some((size) => Number(size) > MOST_LISTED)) {
    parameters.set("jobsPerPage", String(MOST_LISTED));
    request.url = `${request.url.slice(0, at)}?${parameters.toString()}`;
  }
  next();
};

/** Paths that only an admin may write to; of the rest that is offered, operators may. */
const OF_ADMINS = [
  /^\/api\/queues\/[^/]+\/(?:[^/]+\/clean|clean\/[^/]+|empty)\/?$/,
  /^\/dead-letters\/letter\/[^/]+\/purge\/?$/,
];

/** The role that a write to a path needs at least, by its path alone; what is not offered is refused later. */
export function roleForWrite(path: string): Role {
  return OF_ADMINS.some((pattern) => pattern.test(path)) ? "admin" : "operator";
}

export const beforeHandler: NonNullable<BoardHooks["before"]> = ({ method, route }) => {
  if (method === "get") return { allow: true };
  const user = currentUser();
  const role = WRITES[route];
  if (role === undefined) {
    return { allow: false, status: 405, message: "This board does not offer that" };
  }
  if (may(user, role)) return { allow: true };
  return { allow: false, status: 403, message: `This needs the role ${role}; ${user.name} is ${user.role}` };
};
