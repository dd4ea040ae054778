/** What a replay of many would do, and what one is doing. */
import type { LetterRef } from "@sluice/drain";
import type { User } from "../access/user.ts";
import { joinedMessage, type Run, type Selection } from "../letters/runs.ts";
import { html, type Html } from "./html.ts";
import { letterUrl, PAGE } from "../paths.ts";
import { forRole, layout, time } from "./layout.ts";

export interface DryRunPage {
  readonly user: User;
  readonly selection: Selection;
  /** Lanes of the pools file. */
  readonly lanes: ReadonlySet<string>;
  /** Replays that a lane holds at most. */
  readonly perLane: number;
  /** Everything that the start has to say again. */
  readonly fields: readonly Html[];
}

const SHOWN = 20;

/** Nothing has been changed when this is shown. */
export function dryRunPage({ user, selection, lanes, perLane, fields }: DryRunPage): string {
  const { letters, more } = selection;
  const byLane = Map.groupBy(letters, ({ pool, lane }) => `${pool}.${lane}`);
  const body = html` <p role="status">
      ${letters.length} letters would be replayed. Nothing has been changed yet.
    </p>
    ${more ? html`<p class="problem">There are more than one replay takes. Start it again when this one has ended.</p>` : ""}
    <table>
      <thead>
        <tr>
          <th>Lane</th>
          <th>Letters</th>
          <th>How</th>
        </tr>
      </thead>
      <tbody>
        ${[...byLane].map(
          ([lane, each]) =>
            html`<tr>
              <td>${lane}</td>
              <td>${each.length}</td>
              <td>
                ${lanes.has(lane) ? `at most ${perLane} at once` : "refused: the pools file has no such lane"}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${letters.length === 0 ? "" : firstOf(letters)}
    <form method="post" action="${PAGE}/replays">
      ${fields}
      <button name="start" value="yes" ${letters.length === 0 ? html` disabled` : ""}>
        Start the replay
      </button>
    </form>`;
  return layout({ title: "Replay: dry run", user, body });
}

function firstOf(letters: readonly LetterRef[]): Html {
  return html`<h2>The first of them</h2>
    <ul>
      ${letters.slice(0, SHOWN).map(({ id }) => html`<li><a href="${letterUrl(id)}">${id}</a></li>`)}
    </ul>`;
}

/** @param joined whether the user has asked for letters that this run had already. */
export function runPage(user: User, run: Run, { joined }: { readonly joined: boolean }): string {
  const { id, by, what, total, elsewhere, startedAt, endedAt, trouble, queued, claimed, refused, stopped } =
    run;
  const counts = [
    ["in their lanes", queued],
    ["claimed, waiting for Redis", claimed],
    ...[...refused].map(([reason, count]) => [`not replayed: ${REASONS[reason] ?? reason}`, count] as const),
  ] as const;
  const done = counts.reduce((sum, [, count]) => sum + count, 0);
  const replayed = queued + claimed;
  const ended = stopped ? "Stopped" : replayed === total ? "All are on their way" : "Ended";
  const state = endedAt === undefined ? "Under way" : ended;
  const body = html` <p role="status">${state}: ${replayed} of ${total}.</p>
    ${joined ? html`<p class="problem">No other replay was started: this one has the letters. ${joinedMessage(run)}.</p>` : ""}
    ${elsewhere === 0 ? "" : html`<p>${elsewhere} more were asked for; a run before this one has them.</p>`}
    <progress max="${Math.max(1, total)}" value="${done}" aria-label="Letters replayed"></progress>
    ${trouble === undefined ? "" : html`<p class="problem" role="alert">It waits: ${trouble}</p>`}
    <dl>
      <dt>Letters</dt>
      <dd>${what}</dd>
      <dt>By</dt>
      <dd>${by}</dd>
      <dt>Started</dt>
      <dd>${time(startedAt)}</dd>
      ${counts.map(
        ([name, count]) =>
          html`<dt>${name}</dt>
            <dd>${count}</dd>`,
      )}
    </dl>
    ${
      endedAt === undefined
        ? forRole(
            user,
            "operator",
            () => html`<form method="post" action="${PAGE}/replays/${id}/stop"><button>Stop</button></form>`,
          )
        : ""
    }
    <p>A letter is resolved when its replay has been answered, and dead again when it dies once more.</p>`;
  return layout({ title: "Replay", user, body, ...(endedAt === undefined ? { refreshS: 2 } : {}) });
}

const REASONS: Readonly<Record<string, string>> = {
  state: "in another state by now",
  changed: "somebody else was faster",
  "not-found": "gone",
  unreadable: "what is stored of the job cannot be read",
  answered: "answered after all",
  "under-way": "under way again",
  "no-lane": "the pools file has no such lane",
};

export function runsPage(user: User, runs: readonly Run[]): string {
  const body = html`<p>Replays that were started here since this board started.</p>
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>Started (UTC)</th>
            <th>By</th>
            <th>Letters</th>
            <th>Total</th>
            <th>Ended (UTC)</th>
          </tr>
        </thead>
        <tbody>
          ${runs.map(
            ({ id, startedAt, by, what, total, endedAt }) =>
              html`<tr>
                <td><a href="${PAGE}/replays/${id}">${time(startedAt)}</a></td>
                <td>${by}</td>
                <td class="text">${what}</td>
                <td>${total}</td>
                <td>${endedAt === undefined ? "under way" : time(endedAt)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
  return layout({ title: "Replays", user, body });
}

export function messagePage(user: User, title: string, message: string): string {
  return layout({ title, user, body: html`<p class="problem" role="alert">${message}</p>` });
}
