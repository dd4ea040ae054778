/** What can go wrong with a call, as data. */
import { z } from "zod";

/** Where in the response an exception appears. On an operation that does not stream, always at the start. */
export type ErrorPlace = "start" | "first-frame" | "mid-stream";

/** Where a connection breaks or falls silent: before the response's headers or in the middle of its body. */
export type BreakPlace = "before-headers" | "mid-body";

/** What an answer can lack: what the model says, or what it has used. */
export type AnswerPart = "content" | "usage";

/** One fault. */
export type Fault =
  | {
      readonly type: "error";
      /** Name of the exception: one of the service's, or any other to play an unmodelled one. */
      readonly name: string;
      /** HTTP status. Default: the status of that exception, 500 for a name the service does not know. */
      readonly status?: number;
      /** `{model}` stands for the model id. Default: a sentence of the service. */
      readonly message?: string;
      readonly at?: ErrorPlace;
      /** Adds a Retry-After header. */
      readonly retryAfterSeconds?: number;
      /** Shifts the Date header of the response, as a client with a wrong clock would see it. */
      readonly dateSkewSeconds?: number;
      readonly originalStatusCode?: number;
      readonly originalMessage?: string;
    }
  /** A page of HTML, as a proxy answers. */
  | { readonly type: "html"; readonly status: number }
  | { readonly type: "reset"; readonly at: BreakPlace }
  /** Silence until the client gives up. */
  | { readonly type: "hang"; readonly at: BreakPlace }
  /** The body ends in its middle, cleanly: a stream without `messageStop`, half a JSON text. */
  | { readonly type: "early-end" }
  /** The last frame of the stream is cut. Without a stream: as `early-end`. */
  | { readonly type: "truncated-frame" }
  /** A frame in the middle has a wrong checksum. Without a stream: as `early-end`. */
  | { readonly type: "bad-checksum" }
  /** Multiplies both waits of the latency model. */
  | { readonly type: "slow"; readonly factor: number }
  /** The answer stops for this reason, and may lack something besides. */
  | { readonly type: "stop"; readonly reason: string; readonly omit?: readonly AnswerPart[] }
  /** The answer lacks these. */
  | { readonly type: "omit"; readonly parts: readonly AnswerPart[] }
  /** A success with this body in the place of an answer, as JSON: an error in disguise. The call is not admitted. */
  | { readonly type: "body"; readonly body: unknown };

const place = z.enum(["before-headers", "mid-body"]);
const parts = z.array(z.enum(["content", "usage"])).min(1);

/** A fault as JSON. */
export const faultSchema: z.ZodType<Fault> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("error"),
    name: z.string().regex(/^[A-Za-z]{1,100}$/),
    status: z.exactOptional(z.int().min(400).max(599)),
    message: z.exactOptional(z.string()),
    at: z.exactOptional(z.enum(["start", "first-frame", "mid-stream"])),
    retryAfterSeconds: z.exactOptional(z.number().nonnegative()),
    dateSkewSeconds: z.exactOptional(z.number()),
    originalStatusCode: z.exactOptional(z.int()),
    originalMessage: z.exactOptional(z.string()),
  }),
  z.strictObject({ type: z.literal("html"), status: z.int().min(400).max(599) }),
  z.strictObject({ type: z.literal("reset"), at: place }),
  z.strictObject({ type: z.literal("hang"), at: place }),
  z.strictObject({ type: z.literal("early-end") }),
  z.strictObject({ type: z.literal("truncated-frame") }),
  z.strictObject({ type: z.literal("bad-checksum") }),
  z.strictObject({ type: z.literal("slow"), factor: z.number().positive() }),
  z.strictObject({ type: z.literal("stop"), reason: z.string().min(1), omit: z.exactOptional(parts) }),
  z.strictObject({ type: z.literal("omit"), parts }),
  z.strictObject({ type: z.literal("body"), body: z.json() }),
]);
