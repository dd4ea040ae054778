/** What the trials share: DynamoDB, the simulator, a Redis, and the version before. Each makes fleets of its own on them. */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { startServices, type Services } from "@sluice/services";
import { findClockWay, startMachine, type ClockWay, type MachineClock } from "../clocks/machine.ts";
import type { RunOptions } from "../command.ts";
import { unpackFormerVersion, type FormerVersion } from "../former-version.ts";
import { Fleet, type FleetOptions } from "./fleet.ts";
import { SIMULATED } from "./pools.ts";

export interface SiteOptions extends RunOptions {
  /** How programs are made to see another time. Default: what this machine has. */
  readonly clocks?: ClockWay | undefined;
}

export class Site implements AsyncDisposable {
  readonly services: Services;
  readonly clocks: ClockWay;
  readonly #stack: AsyncDisposableStack;
  #former: Promise<FormerVersion> | undefined;

  private constructor(services: Services, clocks: ClockWay, stack: AsyncDisposableStack) {
    this.services = services;
    this.clocks = clocks;
    this.#stack = stack;
  }

  static async open({ clocks = findClockWay(), ...options }: SiteOptions): Promise<Site> {
    await using stack = new AsyncDisposableStack();
    const { dataDir, redisUrl, dynamoDbUrl, onProgress } = options;
    const simulator = { models: SIMULATED };
    const services = stack.use(
      await startServices({ dataDir, redisUrl, dynamoDbUrl, onProgress, simulator }),
    );
    return new Site(services, clocks, stack.move());
  }

  /** A fleet that nobody else has, without any program yet. The caller ends it. */
  async fleet(options: FleetOptions = {}): Promise<Fleet> {
    return Fleet.open(this.services, await this.folder(), options);
  }

  /** A new folder, which goes with the site. */
  async folder(): Promise<string> {
    return mkdtemp(join(this.services.runFolder, "fleet-"));
  }

  /** A machine whose clock is so many milliseconds ahead. */
  async machine(aheadMs: number): Promise<MachineClock> {
    return startMachine(await this.folder(), this.clocks, aheadMs);
  }

  /** The version before. @throws Error when this clone has no history: see `hasFormerVersion`. */
  async former(): Promise<FormerVersion> {
    this.#former ??= unpackFormerVersion().then((former) => this.#stack.use(former));
    return this.#former;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
