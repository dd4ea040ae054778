/** The faults in force: from a header of the request, from a marker in its prompt, then from the rules in order. */
import { invalid } from "@sluice/wire";
import { hashText, type Random } from "../random.ts";
import type { Fault } from "./fault.ts";
import { type FaultedCall, type FaultRule, meets, type RuleProgress, strikes } from "./rule.ts";
import { parseFault } from "./spelling.ts";

/** Header that asks for a fault on one request. */
export const FAULT_HEADER = "x-sim-fault";

/** A rule in force, as `GET /_sim/faults` shows it. */
export interface ScriptedRule extends RuleProgress {
  readonly id: number;
  readonly rule: FaultRule;
}

/** Decides for each call. */
export interface FaultScript {
  /** Adds rules behind those in force and returns their ids. */
  add(rules: readonly FaultRule[], nowMs: number): number[];
  list(): ScriptedRule[];
  /** Takes one rule back, or all of them and the memory of markers. */
  remove(id?: number): void;
  /** The fault of a call, if any. Counts the call against every rule up to the one that strikes. */
  pick(call: FaultedCall, header: string | undefined, nowMs: number): Fault | undefined;
}

/** `*n` markers remember this many prompts; the oldest is forgotten first. */
const PROMPTS_REMEMBERED = 100_000;
const MARKER = /\[\[sim:([^\]]{1,120})\]\]/;

/** @throws ServiceError when the header names no fault: silence would look like a fault that did not strike. */
function readHeader(header: string): Fault {
  const spelled = parseFault(header);
  if (spelled === undefined) throw invalid(`Expected ${FAULT_HEADER} to name a fault, got "${header}".`);
  return spelled.fault;
}

/** A script without rules. */
export function createFaultScript(random: Random): FaultScript {
  let rules: (ScriptedRule & { readonly setAtMs: number })[] = [];
  let lastId = 0;
  const strikesByPrompt = new Map<string, number>();

  /** A marker with `*n` strikes the first n calls that carry the same prompt. */
  const marked = (prompt: string): Fault | undefined => {
    const spelling = prompt.includes("[[sim:") ? MARKER.exec(prompt)?.[1] : undefined;
    const spelled = spelling === undefined ? undefined : parseFault(spelling);
    if (spelled === undefined || spelled.times === Infinity) return spelled?.fault;
    const key = String(hashText(prompt));
    const struck = strikesByPrompt.get(key) ?? 0;
    if (struck >= spelled.times) return undefined;
    strikesByPrompt.set(key, struck + 1);
    if (strikesByPrompt.size > PROMPTS_REMEMBERED) {
      const [oldest] = strikesByPrompt.keys();
      if (oldest !== undefined) strikesByPrompt.delete(oldest);
    }
    return spelled.fault;
  };

  const scripted = (call: FaultedCall, nowMs: number): Fault | undefined => {
    for (const [index, entry] of rules.entries()) {
      if (!meets(entry.rule, call, nowMs - entry.setAtMs)) continue;
      const struck = strikes(entry.rule, entry, random);
      rules[index] = { ...entry, matched: entry.matched + 1, struck: entry.struck + (struck ? 1 : 0) };
      if (struck) return entry.rule.fault;
    }
    return undefined;
  };

  return {
    add: (added, nowMs) => {
      const entries = added.map((rule) => {
        lastId += 1;
        return { id: lastId, rule, matched: 0, struck: 0, setAtMs: nowMs };
      });
      rules.push(...entries);
      return entries.map(({ id }) => id);
    },
    list: () => rules.map(({ id, rule, matched, struck }) => ({ id, rule, matched, struck })),
    remove: (id) => {
      rules = id === undefined ? [] : rules.filter((entry) => entry.id !== id);
      if (id === undefined) strikesByPrompt.clear();
    },
    pick: (call, header, nowMs) => {
      const asked = header === undefined ? undefined : readHeader(header);
      return asked ?? marked(call.prompt) ?? scripted(call, nowMs);
    },
  };
}
