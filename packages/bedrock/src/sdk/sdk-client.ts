/** The SDK's client, set up so that one call is one request and nothing waits unseen. */
import {
  BedrockRuntimeClient,
  type $Command,
  type BedrockRuntimeClientResolvedConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes,
} from "@aws-sdk/client-bedrock-runtime";
import { createConnections, type Trace } from "./connections.ts";
import { createIdentity, NoIdentity, type IdentityOptions } from "./identity.ts";
import { watchLoop, type LoopWatch } from "./time-limit.ts";

export interface ClientOptions {
  readonly region: string;
  /** Default: the public endpoint of the Region. */
  readonly endpoint?: string;
  /** Profile of the shared AWS files, for credentials. Default: what the environment says. */
  readonly profile?: string;
  /** Default: the SDK's own chain of environment, profile, container and instance credentials. */
  readonly credentials?: IdentityOptions["credentials"];
  /** How long credentials may take to come. Default 15 s. */
  readonly credentialsTimeoutMs?: number;
  /** Connections kept open at most. At least the number of concurrent calls, or calls wait unseen for one. */
  readonly maxConnections: number;
}

export type Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  BedrockRuntimeClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>;

/** The part of the SDK's client that calls are made with. */
export interface Client {
  /** Gets what requests are signed with. Rejects with `NoIdentity`. */
  identify(): Promise<void>;
  /** One request. What it met on the wire is in `trace`, also when it fails. Rejects with `NoIdentity` too. */
  send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: Command<Input, Output>,
    options: { readonly abortSignal: AbortSignal; readonly trace: Trace },
  ): Promise<Output>;
  /** Forgets the credentials and the files they come from. */
  renewIdentity(): void;
  readonly loop: LoopWatch;
  destroy(): void;
}

const BEARER = "smithy.api#httpBearerAuth";

/** A client for one account in one Region. It connects with the first call. */
export function createClient(options: ClientOptions): Client {
  const { region, endpoint, profile, credentials, credentialsTimeoutMs, maxConnections } = options;
  const identity = createIdentity({ region, profile, credentials, timeoutMs: credentialsTimeoutMs });
  const loop = watchLoop();
  const sdk = new BedrockRuntimeClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    credentials: identity.provider,
    // A bearer token in the environment would win over a profile or credentials that were given.
    ...(credentials === undefined && profile === undefined ? {} : { authSchemePreference: ["sigv4"] }),
    maxAttempts: 1,
    // Named, so that the environment cannot choose the adaptive mode and its rate limiter of its own.
    retryMode: "standard",
    requestHandler: createConnections(maxConnections),
  });
  tellBearerFailures(sdk);
  return {
    async identify() {
      const [preferred] = await sdk.config.authSchemePreference();
      // A token is read from the environment or a file when the request is made.
      if (preferred !== "httpBearerAuth" && preferred !== BEARER) await identity.provider();
    },
    send: async (command, given) => sdk.send(command, given),
    renewIdentity: () => identity.renew(),
    loop,
    destroy() {
      loop.stop();
      sdk.destroy();
    },
  };
}

/** API keys have a provider of the SDK's own, whose errors say no more about the call than those of credentials. */
function tellBearerFailures(sdk: BedrockRuntimeClient): void {
  for (const scheme of sdk.config.httpAuthSchemes) {
    if (scheme.schemeId !== BEARER) continue;
    const original = { ...scheme };
    scheme.identityProvider = (config) => {
      const provider = original.identityProvider(config);
      return (
        provider &&
        (async (properties) =>
          provider(properties).catch((error: unknown) => {
            throw new NoIdentity(error);
          }))
      );
    };
  }
}
