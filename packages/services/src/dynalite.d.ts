/** The part of dynalite that we use; the package brings no types. */
declare module "dynalite" {
  import type { Server } from "node:http";

  interface DynaliteOptions {
    /** LevelDB folder. In memory when left out. */
    readonly path?: string;
    /** How long tables stay in CREATING, DELETING and UPDATING. Default 500 ms each. */
    readonly createTableMs?: number;
    readonly deleteTableMs?: number;
    readonly updateTableMs?: number;
  }

  export default function dynalite(options: DynaliteOptions): Server;
}
