/** All attacks, in the order in which they are tried: what lives off others' traces comes last. */
import type { AttackCase } from "./attack.ts";
import { audit } from "./cases/audit.ts";
import { bodies } from "./cases/bodies.ts";
import { framing } from "./cases/framing.ts";
import { ids } from "./cases/ids.ts";
import { keys } from "./cases/keys.ts";
import { lists } from "./cases/lists.ts";
import { names } from "./cases/names.ts";
import { otherSites } from "./cases/other-sites.ts";
import { outputs } from "./cases/outputs.ts";
import { passwords } from "./cases/passwords.ts";
import { ports } from "./cases/ports.ts";
import { privacy } from "./cases/privacy.ts";
import { proxyHeaders } from "./cases/proxy-headers.ts";
import { replays } from "./cases/replays.ts";
import { roles } from "./cases/roles.ts";
import { script } from "./cases/script.ts";
import { logs, secrets } from "./cases/secrets.ts";
import { slow } from "./cases/slow.ts";
import { strangers } from "./cases/strangers.ts";
import { streams } from "./cases/streams.ts";
import { terminal } from "./cases/terminal.ts";
import { weight } from "./cases/weight.ts";

export const CASES: readonly AttackCase[] = [
  slow,
  strangers,
  roles,
  otherSites,
  script,
  framing,
  bodies,
  weight,
  names,
  keys,
  ids,
  lists,
  replays,
  streams,
  proxyHeaders,
  passwords,
  audit,
  privacy,
  outputs,
  ports,
  terminal,
  secrets,
  logs,
];
