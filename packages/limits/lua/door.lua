-- Part of admit: whether a call may pass the breaker, and the lease of a probe. Twin of `src/model/door.ts`.

local function probingMs(limits, waitMs)
  return math.max(limits.probingLeastMs, math.min(limits.probingMostMs, waitMs))
end

-- A failed service is tried with a job that has not failed in this outage, if one waits in any lane, and with the most
-- urgent work first.
local function probeDoor(limits, breaker, knocker, now)
  local turn = contains(breaker.outageJobs, knocker.job) and knocker.last + 1 + knocker.rank or knocker.rank
  local due = breaker['until'] + turn * limits.staggerMs
  local probes = liveProbes(breaker, now)
  if #probes == 0 then
    if now < due then return 'shut', due - now, 'breaker' end
    return 'probe'
  end
  local waitMs = (#probes < limits.probesMost and due or probes[1]['until']) - now
  -- Whoever waits for another's probe comes back soon: it may be answered at any moment.
  if waitMs > 0 then return 'shut', probingMs(limits, waitMs), 'probing' end
  return 'probe'
end

-- Access is tried with the least urgent work.
local function canaryDoor(limits, breaker, knocker, now)
  local isolated = breaker.phase == 'isolated'
  if isolated and breaker['until'] == 0 then return 'shut', limits.canaryMs, 'isolated' end
  local due = breaker['until'] + (knocker.last - knocker.rank) * limits.staggerMs
  if now < due then return 'shut', due - now, isolated and 'isolated' or 'breaker' end
  if breaker.probeId == '' or now >= breaker.probeUntil then return 'probe' end
  return 'shut', probingMs(limits, breaker.probeUntil - now), 'probing'
end

local function doorOf(parameters, breaker, knocker, now)
  if breaker.phase == 'closed' then return 'pass' end
  if isOutage(breaker.phase) then return probeDoor(parameters.breaker, breaker, knocker, now) end
  return canaryDoor(parameters.breaker, breaker, knocker, now)
end

-- May this call pass, be a probe, or neither? `knocker`: { rank of its lane, last, job }. Changes nothing.
-- Returns 'pass', 'probe', or 'shut' with ms and cause.
local function knock(parameters, breaker, knocker, now)
  local door, afterMs, cause = doorOf(parameters, breaker, knocker, now)
  local heldMs = (breaker.heldUntil or 0) - now
  if heldMs <= 0 or (door == 'shut' and afterMs >= heldMs) then return door, afterMs, cause end
  return 'shut', heldMs, 'hold'
end

-- Hands out a probe. The next is due an interval later, whether or not this one has told anything by then.
local function leaseProbe(limits, breaker, id, startAt, ttlMs, now)
  local leasedUntil = startAt + (ttlMs > limits.leaseTrimMs and ttlMs - limits.leaseTrimMs or ttlMs)
  if isOutage(breaker.phase) then
    local probes = liveProbes(breaker, now)
    probes[#probes + 1] = { id = id, ['until'] = leasedUntil }
    breaker.probes = probes
    if breaker.phase == 'open' then breaker.phase, breaker.successes = 'half-open', 0 end
    breaker['until'] = startAt + intervalMs(limits, breaker, startAt)
  end
  breaker.probeId, breaker.probeUntil = id, leasedUntil
end
