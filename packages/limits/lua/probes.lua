-- Part of admit, settle and operate: the probes of an outage, what is known of canaries, and news of the breaker. Twin of `src/model/probes.ts`.

-- Access is checked before anything else, and denied within a fraction of a second. A call that is still out after this
-- was let in, however long its model takes.
local LET_IN_MS = 3000

-- For how long a probe has its place, and keeps the pool from opening again when another has failed. Long enough for
-- nearly every answer, and what answers later is heard all the same.
local PLACE_MS = 60000

-- Processes that are known to be denied access. Of more none is tried out of turn.
local DENIED_MOST = 64

local function isOutage(phase)
  return phase == 'open' or phase == 'half-open'
end

local function liveProbes(breaker, now)
  local live = {}
  if breaker.phase ~= 'half-open' then return live end
  for _, probe in ipairs(breaker.probes) do
    if now < probe['until'] then live[#live + 1] = probe end
  end
  return live
end

-- Probes grow rarer with the age of the outage, so that one of a minute is over for callers soon after its end.
local function intervalMs(limits, breaker, now)
  return math.min(limits.openMostMs, math.max(limits.openMs, (now - breaker.outageSince) * limits.openPart))
end

-- What is compared to see whether the breaker has changed.
local function phaseOf(breaker)
  return { phase = breaker.phase, epoch = breaker.epoch }
end

-- News of a changed breaker, appended to `changes`.
local function noteBreaker(pool, breaker, before, changes)
  if breaker.phase == before.phase and breaker.epoch == before.epoch then return end
  local untilMs = breaker.phase == 'closed' and 0 or math.ceil(breaker['until'])
  changes[#changes + 1] = {
    type = 'breaker', pool = pool, from = before.phase, to = breaker.phase,
    epoch = breaker.epoch, untilMs = untilMs,
  }
end
