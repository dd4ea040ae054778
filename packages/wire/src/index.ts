export {
  type Exchange,
  openExchange,
  readBody,
  sendHtml,
  sendJson,
  type WireRequest,
  type WireResponse,
} from "./http/exchange.ts";
export { listen, type Port, type RequestListener } from "./http/listen.ts";
export { SOCKET_BOUNDS, type SocketBounds } from "./http/slow-sockets.ts";
export { sendAnswer, sendError } from "./bedrock/answer.ts";
export { checkBody, parseJsonBody, readJson } from "./bedrock/body.ts";
export { callerKey, callerRegion, type SdkAttempt, sdkAttempt } from "./bedrock/caller.ts";
export { encodeFrame, encodeMessage, type Frame, padded } from "./bedrock/frames.ts";
export { type ModelOperation, type Route, route } from "./bedrock/route.ts";
export {
  errorStatus,
  errorTypeHeader,
  invalid,
  isServiceErrorName,
  ServiceError,
  type ServiceErrorName,
  type ServiceErrorOptions,
} from "./bedrock/service-error.ts";
