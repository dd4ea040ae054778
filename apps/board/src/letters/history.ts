/** A letter's history in sentences, oldest first. */
import type { HistoryEntry, Letter } from "@sluice/dead-letter";

export function historyLines({ history }: Letter): string[] {
  return history.map((entry) => `${new Date(entry.at).toISOString()}  ${sentence(entry)}`);
}

export function sentence(entry: HistoryEntry): string {
  switch (entry.event) {
    case "died":
      return `${entry.jobId} died: ${entry.errorClass}: ${entry.message}`;
    case "claimed":
      return `${entry.by} replayed it as ${entry.jobId}`;
    case "resolved":
      return `${entry.jobId} was answered`;
    case "parked":
      return `${entry.by} parked it${entry.note === undefined ? "" : `: ${entry.note}`}`;
    case "unparked":
      return `${entry.by} took it back from the parked ones`;
    case "noted":
      return `${entry.by} noted: ${entry.note}`;
    case "edited":
      return `${entry.by} replaced its request`;
  }
}
