/**
 * Lets an error that came as a success fail as the error it is, before the SDK reads the response: the SDK leaves out
 * what the operation does not model, and would show an answer without anything in it.
 */
import type { ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-bedrock-runtime";
import { buffer } from "node:stream/consumers";
import { parseJson } from "@sluice/job";
import { z } from "zod";
import { errorIn } from "./error-body.ts";
import type { Command } from "./sdk-client.ts";

/** How the operation answers. `native`: with a model's own body. `stream`: in frames, so that JSON is no answer. */
export type AnswersIn = "json" | "native" | "stream";

const successSchema = z.object({
  statusCode: z.int().min(200).max(299),
  headers: z.record(z.string(), z.string()),
  body: z.custom<AsyncIterable<Uint8Array>>(
    (body) => typeof body === "object" && body !== null && Symbol.asyncIterator in body,
  ),
});

/** The same command, whose response is looked through for an error. A whole body is read here and handed on. */
export function unmasked<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: Command<Input, Output>,
  answersIn: AnswersIn,
): Command<Input, Output> {
  command.middlewareStack.add(
    (next) => async (request) => {
      const result = await next(request);
      const { response } = result;
      const { headers = {}, body } = successSchema.safeParse(response).data ?? {};
      const isStream = answersIn === "stream";
      if (body === undefined || (isStream && !isText(headers))) return result;
      const bytes = await buffer(body);
      const said = parseJson(bytes.toString());
      const error = errorIn(said, {
        header: headers["x-amzn-errortype"],
        native: answersIn === "native",
      });
      if (error !== undefined) throw error;
      if (isStream) throw new SyntaxError("Expected a stream of events, got something else");
      return { ...result, response: Object.assign(Object(response), { body: bytes }) };
    },
    // Behind the SDK's own reading, before the body has been touched.
    { step: "deserialize", priority: "low", name: "unmaskErrors" },
  );
  return command;
}

function isText({ "content-type": type = "" }: Readonly<Record<string, string>>): boolean {
  return type.startsWith("application/json") || type.startsWith("text/");
}
