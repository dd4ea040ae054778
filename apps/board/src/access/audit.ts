/**
 * The record of writes, and of looks at prompts: a line before the work and a line after it, joined by an id. Whoever cuts
 * the connection meanwhile gets no answer; the work is done all the same, and its lines are written.
 */
import { randomUUID } from "node:crypto";
import type { RequestHandler, Response } from "express";
import { currentUser } from "./user.ts";

/** One line of the record. */
export interface AuditEntry {
  /** The same in all lines of one request, or of one replay in the background. */
  readonly id: string;
  /**
   * `intent`: it is about to be done. `cut`: the caller has gone before the answer; the work goes on. `result`: how it
   * ended. `refused`: somebody whom the board does not know has asked.
   */
  readonly phase: "intent" | "cut" | "result" | "refused";
  readonly user: string;
  readonly role?: string;
  /** The address of the caller, or of the proxy before it. */
  readonly from?: string;
  readonly method?: string;
  readonly path?: string;
  /** With `result` of a request: the status of the answer, whether it was received or not. */
  readonly status?: number;
  /** What the path does not say, e.g. how many letters a replay was started for. */
  readonly detail?: string;
}

export type Audit = (entry: AuditEntry) => void;

/** The record of one request, for those who handle it. */
export interface RequestAudit {
  /** Writes down an intent that the method does not give away. */
  intent(detail: string): void;
  /** What the result's line says beside the status. */
  detail(text: string): void;
}

/** The record of the request that is answered here. @throws Error where `audited` has not been passed. */
export function auditOf(response: Response): RequestAudit {
  const record: unknown = response.locals["audit"];
  if (record instanceof Record) return record;
  throw new Error("Expected a request that is on record");
}

class Record implements RequestAudit {
  #detail: string | undefined;
  #isOn = false;
  readonly #write: (line: Partial<AuditEntry> & Pick<AuditEntry, "phase">) => void;

  constructor(write: (line: Partial<AuditEntry> & Pick<AuditEntry, "phase">) => void) {
    this.#write = write;
  }

  intent(detail?: string): void {
    this.#isOn = true;
    this.#detail = detail;
    this.#line({ phase: "intent" });
  }

  detail(text: string): void {
    this.#detail = text;
  }

  /** Lines of a request of which there was no intent are left out. */
  end(line: Partial<AuditEntry> & Pick<AuditEntry, "phase">): void {
    if (this.#isOn) this.#line(line);
  }

  #line(line: Partial<AuditEntry> & Pick<AuditEntry, "phase">): void {
    this.#write({ ...line, ...(this.#detail === undefined ? {} : { detail: this.#detail }) });
  }
}

/** Writes down every write, refused ones too, and what the handlers say of other requests. */
export function audited(audit: Audit): RequestHandler {
  return (request, response, next) => {
    const { name, role } = currentUser();
    const { method, originalUrl, socket } = request;
    const common = {
      id: randomUUID(),
      user: name,
      role,
      from: socket.remoteAddress ?? "unknown",
      method,
      path: originalUrl.split("?", 1)[0] ?? "",
    };
    const record = new Record((line) => audit({ ...common, ...line }));
    response.locals["audit"] = record;
    if (method !== "GET" && method !== "HEAD") record.intent();
    onEnd(response, () => record.end({ phase: "result", status: response.statusCode }));
    response.once("close", () => {
      if (!response.writableEnded) record.end({ phase: "cut" });
    });
    next();
  };
}

/** Calls back once the handler has given its answer. `finish` does not tell: it never comes once the caller has gone. */
function onEnd(response: Response, callback: () => void): void {
  const end = response.end.bind(response);
  let ended = false;
  // Several signatures, of which all arguments are handed on.
  const patched = (...args: Parameters<typeof end>): Response => {
    const result = end(...args);
    if (!ended) callback();
    ended = true;
    return result;
  };
  Object.assign(response, { end: patched });
}
