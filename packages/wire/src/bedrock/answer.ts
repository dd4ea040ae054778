/** How the service answers in one piece. */
import type { OutgoingHttpHeaders } from "node:http";
import { type Exchange, sendJson } from "../http/exchange.ts";
import { errorTypeHeader, type ServiceError } from "./service-error.ts";

/** Sends a complete JSON answer with the id of its request. */
export function sendAnswer(
  exchange: Exchange,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  sendJson(exchange, status, body, { "x-amzn-requestid": exchange.requestId, ...headers });
}

/** Sends an error as the service does. */
export function sendError(exchange: Exchange, error: ServiceError): void {
  sendAnswer(
    exchange,
    error.status,
    { message: error.message, ...error.details },
    { "x-amzn-errortype": errorTypeHeader(error.name), ...error.headers },
  );
}
