-- Part of admit: whether a call may pass the breaker, and the place of a probe. Twin of `src/model/door.ts`.

local function probingMs(limits, waitMs)
  return math.max(limits.probingLeastMs, math.min(limits.probingMostMs, waitMs))
end

-- A failed service is tried with a job that has not failed in this outage, if one waits in any lane, and with the most
-- urgent work first.
local function probeDoor(limits, breaker, knocker, now)
  local turn = contains(breaker.outageJobs, knocker.job) and knocker.last + 1 + knocker.rank or knocker.rank
  local due = breaker['until'] + turn * limits.staggerMs
  if now >= due then return 'probe' end
  if #liveProbes(breaker, now) == 0 then return 'shut', due - now, 'breaker' end
  -- Whoever waits for another's probe comes back soon: it may be answered at any moment.
  return 'shut', probingMs(limits, due - now), 'probing'
end

-- Whoever sleeps at a gate is back within this time: a process that was not denied makes the canary, if there is one.
local OTHERS_FIRST_MS = 6000

local function canaryDueAt(limits, breaker, knocker)
  local due = breaker['until'] + (knocker.last - knocker.rank) * limits.staggerMs
  local deniedTo, process = breaker.deniedTo or {}, knocker.process
  local denied = contains(deniedTo, process)
  if breaker.phase == 'suspected' then return (denied and breaker.another) and due + OTHERS_FIRST_MS or due end
  -- What isolated the pool may be the others' own affair.
  local mayKnowBetter = process ~= '' and #deniedTo > 0 and #deniedTo < DENIED_MOST and not denied
  return mayKnowBetter and 0 or due
end

-- Access is tried with the least urgent work, and by a process that was not denied it if there is one.
local function canaryDoor(limits, breaker, knocker, now)
  local isolated = breaker.phase == 'isolated'
  if isolated and breaker['until'] == 0 then return 'shut', limits.canaryMs, 'isolated' end
  local due = canaryDueAt(limits, breaker, knocker)
  if now < due then return 'shut', due - now, isolated and 'isolated' or 'breaker' end
  if breaker.probeId == '' or now >= breaker.probeUntil then return 'probe' end
  return 'shut', probingMs(limits, breaker.probeUntil - now), 'probing'
end

local function doorOf(parameters, breaker, knocker, now)
  if breaker.phase == 'closed' then return 'pass' end
  if isOutage(breaker.phase) then return probeDoor(parameters.breaker, breaker, knocker, now) end
  return canaryDoor(parameters.breaker, breaker, knocker, now)
end

-- May this call pass, be a probe, or neither? `knocker`: { rank of its lane, last, job, process }. Changes nothing.
-- Returns 'pass', 'probe', or 'shut' with ms and cause.
local function knock(parameters, breaker, knocker, now)
  local door, afterMs, cause = doorOf(parameters, breaker, knocker, now)
  local heldMs = (breaker.heldUntil or 0) - now
  if heldMs <= 0 or (door == 'shut' and afterMs >= heldMs) then return door, afterMs, cause end
  return 'shut', heldMs, 'hold'
end

-- Hands out a probe. The next is due an interval later, whether or not this one has told anything by then; beyond
-- `probesMost` it takes the place of the eldest.
local function leaseProbe(limits, breaker, id, startAt, ttlMs, now)
  local leaseMs = ttlMs > limits.leaseTrimMs and ttlMs - limits.leaseTrimMs or ttlMs
  local leasedUntil = startAt + math.min(PLACE_MS, leaseMs)
  if isOutage(breaker.phase) then
    local probes = liveProbes(breaker, now)
    probes[#probes + 1] = { id = id, ['until'] = leasedUntil }
    if #probes > limits.probesMost then table.remove(probes, 1) end
    breaker.probes = probes
    if breaker.phase == 'open' then breaker.phase, breaker.successes = 'half-open', 0 end
    breaker['until'] = startAt + intervalMs(limits, breaker, startAt)
  end
  breaker.probeId, breaker.probeUntil = id, leasedUntil
  breaker.canaryStart = not isOutage(breaker.phase) and { id = id, at = startAt } or nil
end
