/** Bull Board over every lane, grouped by pool. Read-only, and without the text of any prompt. */
import type { Server } from "node:http";
import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import type { Pools } from "@sluice/config";
import { queueName } from "@sluice/job";
import { closeServer, httpServer, listen } from "@sluice/process";
import { connect, keySpace } from "@sluice/redis";
import { Queue } from "bullmq";
import express from "express";
import helmet from "helmet";
import { redactData } from "./redact.ts";

export interface BoardSettings {
  readonly pools: Pools;
  readonly namespace: string;
  readonly redisUrl: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly onError: (error: unknown) => void;
}

export class Board {
  readonly #settings: BoardSettings;
  readonly #redis;
  readonly #queues: Queue[];
  readonly #server: Server;

  constructor(settings: BoardSettings) {
    this.#settings = settings;
    this.#redis = connect(settings.redisUrl, "producer", settings.onError);
    this.#queues = this.#openQueues();
    const adapter = new ExpressAdapter();
    createBullBoard({
      serverAdapter: adapter,
      queues: this.#queues.map((queue) => {
        // A failed job here is about to become a dead letter, and an edit would save the redacted text: read only.
        const lane = new BullMQAdapter(queue, { readOnlyMode: true, delimiter: "." });
        lane.setFormatter("data", redactData);
        return lane;
      }),
      options: {
        uiConfig: {
          boardTitle: "Sluice",
          overview: { groupByDelimiter: true },
          hideDocsLink: true,
          showMetrics: true,
          // One CLIENT LIST per queue and poll grows with the fleet; the lanes say what matters.
          showWorkers: false,
        },
      },
    });
    const app = express();
    app.disable("x-powered-by");
    app.use(helmet());
    app.get("/healthz", (_request, response) => {
      response.json({ status: "ok" });
    });
    app.use("/", adapter.getRouter());
    this.#server = httpServer(app);
  }

  /** Listens. Resolves to the URL. */
  async start(): Promise<string> {
    const { host, port } = this.#settings;
    return listen(this.#server, host, port);
  }

  async stop(): Promise<void> {
    await closeServer(this.#server);
    await Promise.all(this.#queues.map(async (queue) => queue.close()));
    this.#redis.disconnect();
  }

  #openQueues(): Queue[] {
    const { pools, namespace, onError } = this.#settings;
    return Object.values(pools.pools).flatMap((pool) =>
      pool.lanes.map((lane) => {
        const queue = new Queue(queueName(pool.name, lane), {
          connection: this.#redis,
          prefix: keySpace(namespace, pool.scope),
        });
        queue.on("error", onError);
        return queue;
      }),
    );
  }
}
