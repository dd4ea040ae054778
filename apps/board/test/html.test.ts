/** Values in HTML are text, whatever they are. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { html } from "../src/pages/html.ts";

test("a value cannot leave its place", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      const { text } = html`<p title="${value}">${value}</p>`;
      expect(text.replace(/^<p title="/, "").replace(/<\/p>$/, "")).not.toMatch(/[<'\0]/);
      expect(text.split('"')).toHaveLength(3);
    }),
  );
});

test("what is shown is what was there, and invisible characters are seen", () => {
  expect(html`${"a < b & \u202ec\u0000"}`.text).toBe("a &lt; b &amp; \\u202ec\\u0000");
  expect(html`${[html`<b>`, 1, undefined, "<"]}`.text).toBe("<b>1&lt;");
});
