/** What a reader of streamed text sees, as it is stored. */
import { z } from "zod";

/** How streamed text ends: whole; with the job dead; or with text missing here, so that the outcome has to be read. */
export type ChunkEnd = "completed" | "failed" | "incomplete";

/**
 * `started` opens the text. `restarted` takes back all text before it: that call broke and another answers, or a
 * filter stopped it and what follows stands in its place.
 * `completed`, `failed` and `incomplete` are the last. `id` is where a reader can go on after.
 */
export type ChunkEvent =
  | { readonly id: string; readonly type: "started" | "restarted"; readonly call: number }
  | { readonly id: string; readonly type: "text"; readonly text: string }
  | { readonly id: string; readonly type: ChunkEnd };

/** An event as it is stored. `newer`: this version does not know it. */
export type StoredEvent = ChunkEvent | { readonly id: string; readonly type: "newer" };

const last = z.enum(["completed", "failed", "incomplete"]);

const number = z.string().regex(/^\d+$/).transform(Number);

const fieldsSchema = z.union([
  z.object({ type: z.enum(["started", "restarted"]), call: number }),
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: last }),
]);

const entry = z.tuple([z.string(), z.array(z.string())]);

const replySchema = z.array(z.tuple([z.string(), z.array(entry)])).nullable();

/**
 * Decodes the reply to XREAD: the events of each stream, by key. One that a newer version has written is no reason to read
 * none: all readers of this process share the reply.
 */
export function chunkEvents(reply: unknown): Map<string, StoredEvent[]> {
  return new Map(
    (replySchema.parse(reply) ?? []).map(([key, entries]) => [
      key,
      entries.map(([id, list]): StoredEvent => {
        const known = fieldsSchema.safeParse(fieldsOf(list));
        return known.success ? { id, ...known.data } : { id, type: "newer" };
      }),
    ]),
  );
}

/** Whether nothing follows the event. */
export function isLast({ type }: ChunkEvent): boolean {
  return last.safeParse(type).success;
}

function fieldsOf(list: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(
    list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]]] : [])),
  );
}
