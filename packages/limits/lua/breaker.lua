-- Part of admit, settle and operate: how the breaker moves; one for the fleet. What opens it, or makes a pool suspected, is in
-- evidence.lua. Twin of `src/model/breaker.ts`, which draws the phases.

local function withJob(limits, jobs, job)
  for place, one in ipairs(jobs) do
    if one == job then
      table.remove(jobs, place)
      break
    end
  end
  jobs[#jobs + 1] = job
  if #jobs > limits.outageJobs then table.remove(jobs, 1) end
end

-- A call that was no probe of this outage has failed in it.
local function noteFailed(limits, breaker, job)
  if isOutage(breaker.phase) then withJob(limits, breaker.outageJobs, job) end
end

-- What only the phase that ends needs.
local function forgetPhase(breaker)
  breaker.probeId, breaker.probes = '', nil
  breaker.run, breaker.failedLast, breaker.askers, breaker.processes = nil, nil, nil, nil
  breaker.deniedTo, breaker.another, breaker.canaryStart, breaker.byHand = nil, nil, nil, nil
end

-- Opens until the next probe is due; `forMs`: in how long that is.
local function open(limits, breaker, now, forMs)
  local lasting = isOutage(breaker.phase) or now - breaker.closedAt < limits.forgetMs
  if not (lasting and breaker.outageSince) then
    -- By hand before anything failed: no outage is known, so the first probe's interval is the shortest.
    breaker.outageSince, breaker.openings, breaker.outageJobs = now + (forMs or 0), 0, {}
  end
  for _, one in ipairs(breaker.run and breaker.run.jobs or {}) do withJob(limits, breaker.outageJobs, one.job) end
  breaker.openings = breaker.openings + 1
  breaker.phase = 'open'
  breaker.epoch = breaker.epoch + 1
  breaker['until'] = now + (forMs or intervalMs(limits, breaker, now))
  forgetPhase(breaker)
end

local function close(breaker, now)
  breaker.phase = 'closed'
  breaker.epoch = breaker.epoch + 1
  breaker.closedAt, breaker.answeredAt, breaker.answeringSince = now, now, now
  breaker.timeouts = 0
  breaker.suspects = {}
  forgetPhase(breaker)
end

local function addDenied(deniedTo, process)
  if process == '' or #deniedTo >= DENIED_MOST or contains(deniedTo, process) then return end
  deniedTo[#deniedTo + 1] = process
end

-- `untilMs`: when the next canary is due; 0: an operator must close. `process`: the one that was denied now; '' if it has
-- no name.
local function isolate(breaker, untilMs, process)
  local deniedTo = breaker.phase ~= 'closed' and breaker.deniedTo or {}
  addDenied(deniedTo, process)
  breaker.phase, breaker['until'] = 'isolated', untilMs
  forgetPhase(breaker)
  breaker.deniedTo = deniedTo
end

-- Several calls were denied; one more, alone, shall confirm it.
local function doubt(breaker, now)
  local deniedTo, another = {}, false
  for _, one in ipairs(breaker.suspects) do addDenied(deniedTo, one.process) end
  for _, one in ipairs(breaker.phase == 'closed' and breaker.processes or {}) do
    another = another or not contains(deniedTo, one)
  end
  breaker.phase, breaker['until'] = 'suspected', now
  forgetPhase(breaker)
  breaker.deniedTo, breaker.another = deniedTo, another
end

-- Moves a half-open breaker by what a probe found out.
local function hearProbe(limits, breaker, finding, now)
  if breaker.phase ~= 'half-open' then return end
  local id, outcome = finding.id, finding.outcome
  -- An answer is one, however long it took: the place of the probe may have gone to another meanwhile.
  local found = outcome == 'ok' and finding.probe and finding.startAt >= breaker.outageSince
  local probes = {}
  for _, probe in ipairs(liveProbes(breaker, now)) do
    if probe.id == id then found = true else probes[#probes + 1] = probe end
  end
  if not found then return end
  breaker.probes = probes
  if breaker.probeId == id then breaker.probeId = '' end
  if outcome == 'ok' then
    breaker.successes = breaker.successes + 1
    if breaker.successes >= limits.successes then return close(breaker, now) end
    breaker['until'] = now
  elseif outcome == 'failed' or outcome == 'timeout' then
    breaker.successes = 0
    if #probes == 0 then open(limits, breaker, now, math.max(0, breaker['until'] - now)) end
  elseif outcome == 'systemic' then
    doubt(breaker, now)
  else
    -- It told nothing: the next may go at once.
    breaker['until'] = now
  end
end

-- Moves a suspected or isolated pool by what its canary found out.
local function hearCanary(limits, breaker, finding, now)
  if breaker.phase ~= 'suspected' and breaker.phase ~= 'isolated' then return end
  local outcome = finding.outcome
  if breaker.probeId ~= finding.id or now >= breaker.probeUntil then return end
  breaker.probeId = ''
  if outcome == 'neutral' then return end
  if outcome == 'systemic' then return isolate(breaker, now + limits.canaryMs, finding.process) end
  -- An answer, even a throttle, needs access. A failure proves nothing either way: a suspicion is dropped, an isolation
  -- is kept.
  if breaker.phase == 'suspected' or outcome == 'ok' or outcome == 'throttled' then
    close(breaker, now)
  else
    breaker['until'] = now + limits.canaryMs
  end
end

-- A canary that is out so long was let in: the pool takes calls again, though nothing is known yet of what it answers.
-- Returns its id, or nil: there is none.
local function letIn(breaker, now)
  if breaker.phase ~= 'suspected' and breaker.phase ~= 'isolated' then return nil end
  local id, start = breaker.probeId, breaker.canaryStart
  if id == '' or not (start and start.id == id) then return nil end
  if now >= breaker.probeUntil or now < start.at + LET_IN_MS then return nil end
  close(breaker, now)
  return id
end

-- The server wants no calls for a while. A longer hold is not shortened. Returns whether it is longer than before.
local function hold(limits, breaker, holdMs, now)
  local before = breaker.heldUntil or 0
  breaker.heldUntil = math.max(before, now + math.min(holdMs, limits.holdMostMs))
  return breaker.heldUntil > before
end

-- An operator ends the hold.
local function release(breaker)
  breaker.heldUntil = nil
end

-- For how long the pool takes no calls but probes, in ms; 0: it takes them. `parkedUntilMs`: the end of its parking
-- for the day.
local function shutMs(parameters, breaker, parkedUntilMs, now)
  local elsewhereMs = math.max(0, parkedUntilMs - now, (breaker.heldUntil or 0) - now)
  if breaker.phase == 'closed' then return elsewhereMs end
  local limits = parameters.breaker
  local byHand = breaker.phase == 'isolated' and breaker['until'] == 0
  return math.max(elsewhereMs, byHand and limits.canaryMs or math.max(limits.probingLeastMs, breaker['until'] - now))
end

-- What follows from a changed breaker: a ramp after an outage, and news.
local function afterBreaker(parameters, state, startsKey, pool, before, changes, now)
  if state.breaker.phase == 'closed' and state.breaker.epoch ~= before.epoch then
    forgetStarts(startsKey)
    -- The service comes back from an outage, and gets its load step by step.
    if isOutage(before.phase) then ramp(parameters.ceiling, state, now) end
  end
  noteBreaker(pool, state.breaker, before, changes)
end
