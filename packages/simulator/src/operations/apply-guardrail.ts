/** ApplyGuardrail in its simple form: a marker in the text intervenes, everything else passes. */
import { z } from "zod";
import { parseJsonBody } from "@sluice/wire";

const BLOCKED_TEXT = "Sorry, the guardrail has blocked this content.";
const MARKER = "[[sim:guardrail_intervened]]";

const bodySchema = z.looseObject({
  source: z.enum(["INPUT", "OUTPUT"]),
  content: z.array(z.looseObject({ text: z.looseObject({ text: z.string() }).optional() })).min(1),
});

/** Answers an ApplyGuardrail body. Any guardrail id and version will do. */
export function applyGuardrail(body: Buffer): unknown {
  const { content } = parseJsonBody(bodySchema, body);
  const text = content.map((block) => block.text?.text ?? "").join("\n");
  const intervenes = text.includes(MARKER);
  // One text unit of a policy is up to 1,000 characters.
  const units = Math.ceil(text.length / 1_000);
  return {
    usage: {
      topicPolicyUnits: units,
      contentPolicyUnits: units,
      wordPolicyUnits: units,
      sensitiveInformationPolicyUnits: 0,
      sensitiveInformationPolicyFreeUnits: 0,
      contextualGroundingPolicyUnits: 0,
    },
    action: intervenes ? "GUARDRAIL_INTERVENED" : "NONE",
    outputs: intervenes ? [{ text: BLOCKED_TEXT }] : [],
    assessments: intervenes
      ? [{ wordPolicy: { customWords: [{ match: MARKER, action: "BLOCKED" }], managedWordLists: [] } }]
      : [],
    guardrailCoverage: { textCharacters: { guarded: text.length, total: text.length } },
    actionReason: intervenes ? "Guardrail blocked." : "No action.",
  };
}
