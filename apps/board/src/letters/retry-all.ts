/**
 * Bull Board's "Retry all" of an error class, as a paced replay in the background. Its own would hold the request open
 * and put all letters into their lanes at once.
 */
import type { DeadLetterStore } from "@sluice/dead-letter";
import type { Clock } from "@sluice/job";
import type { RequestHandler } from "express";
import { auditOf } from "../access/audit.ts";
import { currentUser, may } from "../access/user.ts";
import { Refused } from "../refusal.ts";
import { QUEUE_PREFIX } from "./letter-adapter.ts";
import { unavailable } from "./letter-view.ts";
import { joinedMessage, selectLetters, type Runs } from "./runs.ts";

export interface RetryAllOptions {
  readonly store: DeadLetterStore;
  readonly runs: Runs;
  readonly clock: Clock;
}

type Parameters = { queueName: string; queueStatus: string };

/** Answers in Bull Board's own shape: how many this click replays, and how many it leaves to others or to the next. */
export function retryAll({ store, runs, clock }: RetryAllOptions): RequestHandler<Parameters> {
  return async (request, response, next) => {
    const { queueName, queueStatus } = request.params;
    const user = currentUser();
    // Other queues, other tabs and other people are Bull Board's to refuse.
    if (!queueName.startsWith(QUEUE_PREFIX) || queueStatus !== "failed" || !may(user, "operator")) {
      next();
      return;
    }
    const errorClass = queueName.slice(QUEUE_PREFIX.length);
    try {
      const groups = [{ errorClass }];
      const { run, joined, more } = await runs.startFound(
        async () => selectLetters(store, { groups, states: ["dead"], until: clock() }),
        { by: user.name, what: `class ${errorClass}`, key: `class ${errorClass}` },
      );
      if (joined) {
        auditOf(response).detail(`nothing: replay ${run.id} has the letters`);
        response.status(409).json({ error: "Conflict", message: joinedMessage(run) });
        return;
      }
      auditOf(response).detail(`replay ${run.id} of ${run.total} letters: class ${errorClass}`);
      response.json({ retried: run.total, skipped: run.elsewhere + (more ? 1 : 0) });
    } catch (error) {
      const { statusCode, message } = error instanceof Refused ? error : unavailable(error);
      response
        .status(statusCode)
        .json({ error: statusCode === 409 ? "Conflict" : "Service unavailable", message });
    }
  };
}
