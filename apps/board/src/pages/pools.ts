/**
 * How all pools stand, where it is seen: as a page, and as a strip on every page of Bull Board, which itself hides it behind
 * an icon of each lane. The strip leads to the pages that Bull Board does not know of.
 */
import { readFileSync } from "node:fs";
import express, { type RequestHandler, type Router } from "express";
import { currentUser } from "../access/user.ts";
import { html } from "./html.ts";
import { PAGE, POOLS } from "../paths.ts";
import { layout } from "./layout.ts";

/** A pool as the strip and the page show it. */
export interface PoolNow {
  readonly name: string;
  readonly takesCalls: boolean;
  /** In one line: breaker, quota, calls. */
  readonly line: string;
}

/** How often a page of pools loads itself again, seconds. */
const REFRESH_S = 5;

const css = readFileSync(new URL("../../static/strip.css", import.meta.url), "utf8");
const script = readFileSync(new URL("../../static/strip.js", import.meta.url), "utf8");

export function poolPages(pools: () => Promise<readonly PoolNow[]>): Router {
  const router = express.Router();
  router.get("/strip.css", (_request, response) => void response.type("css").send(css));
  router.get("/strip.js", (_request, response) => void response.type("js").send(script));
  router.get("/now.json", async (_request, response) => void response.json({ pools: await pools() }));
  router.get("/", async (_request, response) => {
    const rows = (await pools()).map(
      ({ name, takesCalls, line }) =>
        html`<tr>
          <td>${name}</td>
          <td>${takesCalls ? "yes" : html`<strong class="problem">no</strong>`}</td>
          <td class="text">${line}</td>
        </tr>`,
    );
    const body = html`<div class="wide">
      <table>
        <thead>
          <tr>
            <th>Pool</th>
            <th>Takes calls</th>
            <th>Now</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`;
    response.send(layout({ title: "Pools", user: currentUser(), body, refreshS: REFRESH_S }));
  });
  return router;
}

/** How Bull Board's page begins, as no other answer does, and where it puts itself. */
const START = "<!DOCTYPE html>";
const ROOT = '<div id="root">';

/** Fonts of another site, which the content security policy does not let in. */
const FOREIGN_FONTS = /<link href="https:\/\/fonts\.googleapis\.com[^>]*>/;

/** Puts the strip on top of Bull Board's pages, which are all one page to the server. */
export const withStrip: RequestHandler = (_request, response, next) => {
  const send = response.send.bind(response);
  const patched: typeof response.send = (body) =>
    send(typeof body === "string" && body.startsWith(START) ? withStripIn(body) : body);
  response.send = patched;
  next();
};

function withStripIn(page: string): string {
  const { name, role } = currentUser();
  const strip = html`<link rel="stylesheet" href="${POOLS}/strip.css" />
    <nav id="sluice" aria-label="Sluice">
      <a href="${PAGE}">Dead letters</a>
      <a href="${PAGE}/replays">Replays</a>
      <a href="${POOLS}">Pools</a>
      <span id="sluice-pools" role="status"></span>
      <span>${name} (${role})</span>
    </nav>
    <script src="${POOLS}/strip.js" defer></script>`;
  // By a function: in a text, dollars would mean something.
  return page.replace(FOREIGN_FONTS, "").replace(ROOT, () => `${strip.text}${ROOT}`);
}
