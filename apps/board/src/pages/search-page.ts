/** The list: filters, what was found and how far the search looked, and what to do with the ticked letters. */
import type { Pools } from "@sluice/config";
import { deadLetterStateSchema, type FoundPage, type Letter } from "@sluice/dead-letter";
import type { User } from "../access/user.ts";
import { filterFields, isoTime, type Filter } from "./filter.ts";
import { html, type Html } from "./html.ts";
import { boardUrl, letterUrl, PAGE } from "../paths.ts";
import { forRole, layout, time } from "./layout.ts";

export interface SearchPage {
  readonly user: User;
  readonly filter: Filter;
  readonly found: FoundPage | undefined;
  readonly pools: Pools;
  readonly classes: readonly string[];
  readonly problem?: string | undefined;
}

export function searchPage({ user, filter, found, pools, classes, problem }: SearchPage): string {
  const body = html` ${filterForm(filter, pools, classes)}
  ${problem === undefined ? "" : html`<p class="problem" role="alert">${problem}</p>`}
  ${found === undefined ? "" : results(user, filter, found)}`;
  return layout({ title: "Dead letters", user, body });
}

function filterForm(filter: Filter, pools: Pools, classes: readonly string[]): Html {
  const lanes = [...new Set(Object.values(pools.pools).flatMap((pool) => pool.lanes))];
  const { from, until } = filter;
  return html` <form class="filter" action="${PAGE}" role="search">
      <fieldset>
        <legend>State</legend>
        ${deadLetterStateSchema.options.map(
          (state) =>
            html`<label
              ><input
                type="checkbox"
                name="state"
                value="${state}"
                ${filter.state.includes(state) ? CHECKED : ""}
              />
              ${state}</label
            > `,
        )}
      </fieldset>
      ${choice("class", "Error class", classes, filter.class)}
      ${choice("pool", "Pool", Object.keys(pools.pools), filter.pool)}
      ${choice("lane", "Lane", lanes, filter.lane)}
      <label>Tenant <input name="tenant" value="${filter.tenant ?? ""}" /></label>
      <label
        >Died from (UTC)
        <input type="datetime-local" step="1" name="from" value="${from === undefined ? "" : isoTime(from)}"
      /></label>
      <label
        >until (UTC)
        <input
          type="datetime-local"
          step="1"
          name="until"
          value="${until === undefined ? "" : isoTime(until)}"
      /></label>
      <label>Text in message or preview <input name="text" value="${filter.text ?? ""}" /></label>
      <button>Search</button>
    </form>
    <form class="filter" action="${PAGE}">
      <label>Id <input name="id" required size="50" /></label><button>Open</button>
    </form>`;
}

const CHECKED = html` checked`;
const SELECTED = html` selected`;

function choice(name: string, label: string, options: readonly string[], chosen: string | undefined): Html {
  // What was asked for stays asked for, also if nobody knows it (any more).
  const all = chosen === undefined || options.includes(chosen) ? options : [chosen, ...options];
  return html`<label
    >${label}
    <select name="${name}">
      <option value="">any</option>
      ${all.map((option) => html`<option${option === chosen ? SELECTED : ""}>${option}</option>`)}
    </select></label
  >`;
}

function results(user: User, filter: Filter, found: FoundPage): Html {
  const next =
    found.cursor === undefined
      ? ""
      : html`<p><a rel="next" href="${PAGE}?${query(filter, found.cursor)}">Go on from there</a></p>`;
  const { unreadable = [] } = found;
  return html` <p role="status">${summary(found)}</p>
    ${
      unreadable.length === 0
        ? ""
        : html`<p class="problem" role="alert">
            This version cannot read: ${unreadable.map((id) => html`<a href="${letterUrl(id)}">${id}</a> `)}
          </p>`
    }
    <form method="post" action="${PAGE}/replays">
      ${hidden(filter)}
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th><input type="checkbox" id="all" hidden aria-label="All letters of this page" /></th>
              <th>Died (UTC)</th>
              <th>Error</th>
              <th>Message</th>
              <th>Letter</th>
              <th>Tenant</th>
              <th>State</th>
              <th>Deaths</th>
            </tr>
          </thead>
          <tbody>
            ${found.items.map(row)}
          </tbody>
        </table>
      </div>
      ${forRole(
        user,
        "operator",
        () =>
          html`<div class="actions">
            <button name="scope" value="ticked">Replay the ticked…</button>
            <button name="scope" value="filter">Replay all that this search finds…</button>
          </div>`,
      )}
    </form>
    ${next}`;
}

/** What this page covers, so that nobody takes a part for the whole. */
function summary({ items, lookedAt, reachedAt, cursor }: FoundPage): Html {
  const letters = html`${items.length} of ${lookedAt} letters looked at`;
  if (cursor === undefined) return html`${letters}. The search is complete.`;
  if (reachedAt === undefined) return html`${letters}. There may be more.`;
  return html`${letters}, back to ${time(reachedAt)}. There may be more before.`;
}

function row(letter: Letter): Html {
  const { id, failure, pool, lane, tenant, state, deaths, replays, diedAt, preview } = letter;
  return html`<tr>
    <td><input type="checkbox" name="letter" value="${id}~${replays}" aria-label="Letter ${id}" /></td>
    <td>${time(diedAt)}</td>
    <td><a href="${boardUrl(failure.errorClass)}">${failure.errorClass}</a></td>
    <td class="text">
      ${failure.message}${preview === undefined ? "" : html`<br /><small>${preview}</small>`}
    </td>
    <td class="text"><a href="${letterUrl(id)}">${id}</a><br /><small>${pool}.${lane}</small></td>
    <td>${tenant}</td>
    <td>${state}</td>
    <td>${deaths}</td>
  </tr>`;
}

/** The filter as fields that a form carries on. */
export function hidden(filter: Filter): Html[] {
  return filterFields(filter).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  );
}

function query(filter: Filter, cursor: string): string {
  return new URLSearchParams([...filterFields(filter), ["cursor", cursor]]).toString();
}
