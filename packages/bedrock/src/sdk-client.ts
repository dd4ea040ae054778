/** The SDK's client, set up so that one call is one request and nothing waits unseen. */
import { BedrockRuntimeClient, type BedrockRuntimeClientConfig } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";

export interface ClientOptions {
  readonly region: string;
  /** Default: the public endpoint of the Region. */
  readonly endpoint?: string;
  /** Profile of the shared AWS files, for credentials. Default: what the environment says. */
  readonly profile?: string;
  /** Default: the SDK's own chain of environment, profile, container and instance credentials. */
  readonly credentials?: NonNullable<BedrockRuntimeClientConfig["credentials"]>;
  /** Connections kept open at most. At least the number of concurrent calls, or calls wait unseen for one. */
  readonly maxConnections: number;
}

const CONNECTION_TIMEOUT_MS = 3_000;

/**
 * Longer than any call may take: a silent connection is ended by the call's own time-out. Only a call that lost
 * its timer would ever meet this one.
 */
const SOCKET_TIMEOUT_MS = 65 * 60_000;

/** A client for one account in one Region. It connects with the first call. */
export function createClient({
  region,
  endpoint,
  profile,
  credentials,
  maxConnections,
}: ClientOptions): BedrockRuntimeClient {
  const agent = { keepAlive: true, maxSockets: maxConnections };
  return new BedrockRuntimeClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // A bearer token in the environment would win over a profile or credentials that were given.
    ...(profile === undefined ? {} : { profile, authSchemePreference: ["sigv4"] }),
    ...(credentials === undefined ? {} : { credentials, authSchemePreference: ["sigv4"] }),
    maxAttempts: 1,
    // Named, so that the environment cannot choose the adaptive mode and its rate limiter of its own.
    retryMode: "standard",
    // HTTP/1.1 with kept connections. The SDK's default, HTTP/2, opens one per call and hides broken streams.
    requestHandler: new NodeHttpHandler({
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: SOCKET_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: SOCKET_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    }),
  });
}
