/** What is known of who asks. */
import type { User } from "./user.ts";

/** What the board makes of who asks. */
export type Identity =
  | { readonly type: "known"; readonly user: User }
  /** Nothing was said of who asks: a browser before its first password. */
  | { readonly type: "nobody" }
  /** What was said is wrong. `user`: whose name was given, where the board knows such a name. */
  | { readonly type: "wrong"; readonly user?: string; readonly reason: string }
  /** Nothing was checked: too many wrong ones, or too many at once. */
  | { readonly type: "later"; readonly user?: string; readonly afterS: number };
