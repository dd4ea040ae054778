import { expect, test } from "vitest";
import { parseDepends } from "../src/apt.ts";

test.each([
  ["", []],
  ["libc6", [["libc6"]]],
  ["libc6 (>= 2.34), libjemalloc2 (>= 5.2.1)", [["libc6"], ["libjemalloc2"]]],
  ["debconf (>= 0.5) | debconf-2.0, python3:any\n", [["debconf", "debconf-2.0"], ["python3"]]],
])("Depends field '%s'", (field, names) => {
  expect(parseDepends(field)).toEqual(names);
});
