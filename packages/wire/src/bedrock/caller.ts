/** Who calls: a signature or an API key must be there; neither is verified, any credentials will do. */
import type { IncomingHttpHeaders } from "node:http";
import { ServiceError } from "./service-error.ts";

const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/\d{8}\/([a-z0-9-]+)\/[a-z0-9-]+\/aws4_request,\s*SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]+$/;
const BEARER = /^Bearer\s+\S+$/i;

/**
 * The Region a request is meant for: the one it is signed for, or `otherwise` with an API key.
 * @throws ServiceError when nobody signed it.
 */
export function callerRegion(headers: IncomingHttpHeaders, otherwise: string): string {
  const { authorization } = headers;
  if (authorization === undefined || authorization === "") {
    throw new ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  if (BEARER.test(authorization)) return otherwise;
  const region = SIGNATURE.exec(authorization)?.[2];
  if (region !== undefined) return region;
  if (authorization.startsWith("AWS4-HMAC-SHA256")) {
    throw new ServiceError(
      "IncompleteSignature",
      `'${authorization}' not a valid key=value pair in Authorization header.`,
    );
  }
  throw new ServiceError(
    "AccessDeniedException",
    "Invalid API Key format: Must start with pre-defined prefix",
  );
}

/** The access key a request is signed with; empty with an API key, or without either. */
export function callerKey({ authorization = "" }: IncomingHttpHeaders): string {
  return SIGNATURE.exec(authorization)?.[1] ?? "";
}

/** What the SDK says about its own retries: `amz-sdk-request: attempt=1; max=3`. */
export interface SdkAttempt {
  readonly attempt: number | null;
  readonly maxAttempts: number | null;
}

/** Reads the attempt header; null where the client sends none. */
export function sdkAttempt(headers: IncomingHttpHeaders): SdkAttempt {
  const text = String(headers["amz-sdk-request"] ?? "");
  const read = (pattern: RegExp): number | null => {
    const found = pattern.exec(text)?.[1];
    return found === undefined ? null : Number(found);
  };
  return { attempt: read(/attempt=(\d+)/), maxAttempts: read(/max=(\d+)/) };
}
