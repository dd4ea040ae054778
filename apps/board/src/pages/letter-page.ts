/** One letter: how it died, everything that happened to it, its request, and what may be done. */
import type { Letter, ShownLetter } from "@sluice/dead-letter";
import { adviceFor } from "@sluice/job";
import { may, type User } from "../access/user.ts";
import { sentence } from "../letters/history.ts";
import { html, type Html } from "./html.ts";
import { boardUrl, letterUrl } from "../paths.ts";
import { forRole, layout, time } from "./layout.ts";

export interface LetterPage {
  readonly user: User;
  readonly letter: ShownLetter;
  /** Where its job is now, in words. */
  readonly job: string;
  /** Whether the pools file has its lane. */
  readonly hasLane: boolean;
  /** The request as this user may see it now; `undefined` when it cannot be read. */
  readonly request: unknown;
  /** Whether the texts of the request are shown. */
  readonly open: boolean;
}

export function letterPage({ user, letter, job, hasLane, request, open }: LetterPage): string {
  const { id, failure, history } = letter;
  const body = html` <p><a href="${boardUrl(failure.errorClass, id)}">On the board</a></p>
    ${facts(letter, job)}
    <h2>History</h2>
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th>When (UTC)</th>
            <th>What</th>
          </tr>
        </thead>
        <tbody>
          ${history.map(
            (entry) =>
              html`<tr>
                <td>${time(entry.at)}</td>
                <td class="text">${sentence(entry)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <h2>Request</h2>
    ${requestPart(user, letter, request, open)}
    ${forRole(user, "operator", () => operations(letter, hasLane))}
    ${forRole(user, "admin", () => deletion(letter))}`;
  return layout({ title: id, user, body });
}

function facts(letter: Letter, job: string): Html {
  const { state, tenant, pool, lane, kind, failure, attempts, stalls, deaths, replays, ...rest } = letter;
  const rows: [string, Html | string | number][] = [
    ["State", state],
    ["The job now", job],
    [
      state === "resolved" ? "Died of, before it was answered" : "Error",
      `${failure.errorClass}: ${failure.message}`,
    ],
    ["What to do", adviceFor(failure) ?? "See the message: no table knows this class"],
    ["Kind of failure", failure.kind],
    ["HTTP status", failure.status ?? "none"],
    ["Tenant", tenant],
    ["Lane", `${pool}.${lane}`],
    ["Kind", kind],
    ["Accepted", time(rest.acceptedAt)],
    ["Died first", time(rest.firstDiedAt)],
    ["Died last", time(rest.diedAt)],
    ["Attempts, stalls", `${attempts}, ${stalls}`],
    ["Deaths, replays", `${deaths}, ${replays}`],
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

function requestPart(user: User, letter: ShownLetter, request: unknown, open: boolean): Html {
  const json = request === undefined ? undefined : JSON.stringify(request, undefined, 2);
  // A request is replaced within the job's data: where that is damaged there is nothing to put it into.
  const isEditable =
    may(user, "operator") &&
    (letter.state === "dead" || letter.state === "parked") &&
    letter.data !== undefined;
  return html` ${
    open || request === undefined
      ? ""
      : html`<p>
          Its texts are hidden.
          ${forRole(user, "admin", () => html`<a href="${letterUrl(letter.id)}?prompt=full">Show them</a> (this is written down)`)}
        </p>`
  }
  ${json === undefined ? html`<p>The stored request cannot be read.</p>` : ""}
  ${
    isEditable
      ? html`<form method="post" action="${letterUrl(letter.id)}/edit">
          <input type="hidden" name="revision" value="${letter.revision}" />
          <label for="request"
            >Edit it before a replay. A placeholder that is left as it is stands for the stored text.</label
          >
          <textarea id="request" name="request" rows="16" spellcheck="false">${json ?? ""}</textarea>
          <button>Save</button>
        </form>`
      : html`<pre tabindex="0">${json ?? ""}</pre>`
  }`;
}

function operations({ id, state, replays }: Letter, hasLane: boolean): Html {
  const post = (action: string, fields: Html, label: string): Html =>
    html`<form method="post" action="${letterUrl(id)}/${action}">${fields}<button>${label}</button></form>`;
  const note = html`<label>Note <input name="note" maxlength="1000" /></label>`;
  const required = html`<label>Note <input name="note" maxlength="1000" required /></label>`;
  const seen = html`<input type="hidden" name="replays" value="${replays}" />`;
  return html`<h2>Operate</h2>
    <div class="actions">
      ${state === "dead" || state === "parked" ? post("replay", seen, "Replay") : ""}
      ${state === "dead" ? post("park", note, "Park") : ""}
      ${state === "replaying" && !hasLane ? post("take-back", html``, "Take the replay back") : ""}
      ${state === "parked" ? post("unpark", html``, "Take back") : ""} ${post("note", required, "Note")}
    </div>`;
}

/** A record that this version cannot read as a letter: what can be said, and how to close it. */
export function damagedPage({
  user,
  id,
  damage,
  revision,
}: {
  readonly user: User;
  readonly id: string;
  readonly damage: string;
  readonly revision: string;
}): string {
  const body = html`<p class="problem" role="alert">${damage}</p>
    <p>A newer version may have written it. If none did, it can only be deleted.</p>
    ${forRole(user, "admin", () => purgeForm(id, revision))}`;
  return layout({ title: id, user, body });
}

function deletion({ id, state, revision }: Letter): Html {
  return state === "replaying" ? html`` : purgeForm(id, revision);
}

function purgeForm(id: string, revision: string): Html {
  return html`<h2>Delete</h2>
    <form method="post" action="${letterUrl(id)}/purge">
      <input type="hidden" name="revision" value="${revision}" />
      <label><input type="checkbox" required /> Delete the letter and its request for good</label>
      <button>Delete</button>
    </form>`;
}
