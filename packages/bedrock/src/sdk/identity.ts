/**
 * Whose name calls are signed in. Credentials are got in a step of their own before the request, so that a failure of
 * getting them is known as one by where it happened: what STS, SSO, the metadata service or a file say has the same
 * names as what Bedrock says of a call (AccessDenied, a refused connection, a time-out), and means something else.
 */
import { defaultProvider } from "@aws-sdk/credential-provider-node";

/** As the SDK takes them. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export type CredentialsProvider = () => Promise<Credentials>;

export interface Identity {
  /** The current credentials. Rejects with `NoIdentity` only. */
  readonly provider: CredentialsProvider & { readonly memoized: true };
  /** Forgets what is cached of credentials and of the files they come from: the next call gets new ones. */
  renew(): void;
}

export interface IdentityOptions {
  readonly region: string;
  /** A profile of the shared configuration files. Default: the environment's. */
  readonly profile?: string | undefined;
  /** Default: the SDK's own chain of environment, profile, container and instance credentials. */
  readonly credentials?: Credentials | CredentialsProvider | undefined;
  /** How long credentials may take to come. Default 15 s. */
  readonly timeoutMs?: number | undefined;
}

/** Credentials could not be got; the cause says why. No request was made with them. */
export class NoIdentity extends Error {
  constructor(cause: unknown) {
    super("No credentials", { cause });
    this.name = "NoIdentity";
  }
}

/** Signing in by a role takes a call or two to STS; a process of the operator's own may be slower. */
const TIMEOUT_MS = 15_000;

/** STS, SSO and containers answer within a second. Without limits one that is silent holds every call. */
const REQUEST_LIMITS = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };

export function createIdentity(options: IdentityOptions): Identity {
  const { region, profile, credentials, timeoutMs = TIMEOUT_MS } = options;
  const open = (): CredentialsProvider => {
    if (typeof credentials === "function") return credentials;
    if (credentials !== undefined) return async () => credentials;
    // A chain caches credentials, and the SDK its files for as long as the process lives.
    const chain = defaultProvider({
      ignoreCache: true,
      ...(profile === undefined ? {} : { profile }),
      clientConfig: { requestHandler: REQUEST_LIMITS },
      parentClientConfig: { region },
    });
    return async () => chain({ callerClientConfig: { region: async () => region } });
  };
  let current = open();
  const provider = async (): Promise<Credentials> => {
    try {
      return await within(timeoutMs, current());
    } catch (error) {
      throw new NoIdentity(error);
    }
  };
  return {
    // The SDK must not cache in front of it what `renew` is to forget.
    provider: Object.assign(provider, { memoized: true as const }),
    renew() {
      current = open();
    },
  };
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No credentials came within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
