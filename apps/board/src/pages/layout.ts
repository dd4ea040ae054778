/** What all pages of dead letters share. */
import { may, type User } from "../access/user.ts";
import { PAGE, POOLS } from "../paths.ts";
import { html, type Html } from "./html.ts";

export interface Page {
  readonly title: string;
  readonly user: User;
  readonly body: Html;
  /** Loads itself again after so many seconds. */
  readonly refreshS?: number;
}

export function layout({ title, user, body, refreshS }: Page): string {
  const refresh = refreshS === undefined ? "" : html`<meta http-equiv="refresh" content="${refreshS}" />`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        ${refresh}
        <title>${title} · Sluice</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${PAGE}/page.css" />
        <script src="${PAGE}/page.js" defer></script>
      </head>
      <body>
        <nav aria-label="Site">
          <a href="/">Board</a>
          <a href="${PAGE}">Dead letters</a>
          <a href="${PAGE}/replays">Replays</a>
          <a href="${POOLS}">Pools</a>
          <span>${user.name} (${user.role})</span>
        </nav>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `.text;
}

/** What only this role may use, for whoever has it. */
export function forRole(user: User, role: User["role"], content: () => Html): Html | string {
  return may(user, role) ? content() : "";
}

export function time(ms: number): Html {
  const iso = new Date(ms).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace("T", " ")}</time>`;
}
