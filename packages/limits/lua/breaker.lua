-- Part of admit, settle and operate: whether the pool takes calls at all; one breaker and one probe for the
-- fleet. Twin of `src/model/breaker.ts`, which draws the phases. `outcomesKey` is a hash of one-second buckets.

-- May a call of this lane pass, be the probe, or neither? `rank`: the lane's place, 0 = most urgent.
-- Returns 'pass', 'probe', or 'shut' with ms and cause.
local function knock(parameters, breaker, rank, last, now)
  if breaker.phase == 'closed' then return 'pass' end
  local limits = parameters.breaker
  local isolated = breaker.phase == 'isolated'
  if isolated and breaker['until'] == 0 then return 'shut', limits.canaryMs, 'isolated' end
  -- A failed service is tried with the most urgent work, a dead credential with the least.
  local failed = breaker.phase == 'open' or breaker.phase == 'half-open'
  local due = breaker['until'] + (failed and rank or last - rank) * limits.staggerMs
  if now < due then return 'shut', due - now, isolated and 'isolated' or 'breaker' end
  if breaker.phase == 'open' then breaker.phase, breaker.successes = 'half-open', 0 end
  if breaker.probeId ~= '' and now < breaker.probeUntil then
    local most = math.min(limits.probingMostMs, breaker.probeUntil - now)
    return 'shut', math.max(limits.probingLeastMs, most), 'probing'
  end
  return 'probe'
end

-- Hands out the one probe. A dead worker's lease ends by itself.
local function leaseProbe(limits, breaker, id, startAt, ttlMs)
  breaker.probeId = id
  breaker.probeUntil = startAt + (ttlMs > limits.leaseTrimMs and ttlMs - limits.leaseTrimMs or ttlMs)
end

-- Opens, each time in a row for twice as long; `forMs` overrides by hand.
local function open(limits, breaker, now, forMs)
  local healthy = breaker.phase == 'closed' and now - breaker.closedAt >= limits.forgetMs
  breaker.openings = healthy and 1 or breaker.openings + 1
  local doubled = limits.openMs * 2 ^ (breaker.openings - 1)
  breaker.phase = 'open'
  breaker.epoch = breaker.epoch + 1
  breaker['until'] = now + (forMs or math.min(limits.openMostMs, doubled))
  breaker.probeId = ''
end

local function close(breaker, now)
  breaker.phase = 'closed'
  breaker.epoch = breaker.epoch + 1
  breaker.closedAt = now
  breaker.probeId = ''
  breaker.timeouts = 0
  breaker.suspects = {}
end

-- `untilMs`: when the next canary is due; 0: an operator must close.
local function isolate(breaker, untilMs)
  breaker.phase, breaker['until'], breaker.probeId = 'isolated', untilMs, ''
end

-- Several requests say that the credentials are bad; one more, alone, shall confirm it.
local function doubt(breaker, now)
  breaker.phase, breaker['until'] = 'suspected', now
end

-- Counts a call in its second; the slots are reused.
local function count(parameters, outcomesKey, failures, now)
  local second = math.floor(now / 1000)
  local slot = second % parameters.windowSeconds
  local bucket = unpackOr(redis.call('HGET', outcomesKey, slot))
  if not bucket or bucket[1] ~= second then bucket = { second, 0, 0 } end
  redis.call('HSET', outcomesKey, slot, cmsgpack.pack({ second, bucket[2] + 1, bucket[3] + failures }))
end

local function failing(parameters, outcomesKey, now)
  local limits = parameters.breaker
  local oldest = math.floor(now / 1000) - parameters.windowSeconds
  local calls, failures = 0, 0
  for _, packed in ipairs(redis.call('HVALS', outcomesKey)) do
    local bucket = cmsgpack.unpack(packed)
    if bucket[1] > oldest then calls, failures = calls + bucket[2], failures + bucket[3] end
  end
  return calls >= limits.minimumCalls and failures >= limits.failureRatio * calls
end

local function suspect(limits, breaker, finding, now)
  local suspects = breaker.suspects
  table.insert(suspects, { job = finding.job, shape = finding.operation })
  if #suspects > limits.suspectsKept then table.remove(suspects, 1) end
  local seen, jobs, shapes = { job = {}, shape = {} }, 0, 0
  for _, one in ipairs(suspects) do
    if not seen.job[one.job] then seen.job[one.job], jobs = true, jobs + 1 end
    if not seen.shape[one.shape] then seen.shape[one.shape], shapes = true, shapes + 1 end
  end
  if #suspects >= limits.suspects and jobs >= limits.suspectJobs and shapes >= limits.suspectShapes then
    doubt(breaker, now)
  end
end

local function hearWhileClosed(parameters, breaker, outcomesKey, finding, now)
  -- Calls admitted before the last opening say nothing about the pool as it is now.
  if finding.epoch ~= breaker.epoch then return end
  local outcome = finding.outcome
  if outcome == 'ok' or outcome == 'throttled' then breaker.suspects = {} end
  if outcome == 'ok' then
    breaker.timeouts = 0
    count(parameters, outcomesKey, 0, now)
  elseif outcome == 'systemic' then
    suspect(parameters.breaker, breaker, finding, now)
  elseif outcome == 'failed' or outcome == 'timeout' then
    if outcome == 'timeout' then breaker.timeouts = breaker.timeouts + 1 end
    count(parameters, outcomesKey, finding.weight, now)
    local limits = parameters.breaker
    if breaker.timeouts >= limits.timeouts or failing(parameters, outcomesKey, now) then open(limits, breaker, now) end
  end
end

local function hearProbe(limits, breaker, outcome, now)
  if outcome == 'failed' or outcome == 'timeout' then return open(limits, breaker, now) end
  if outcome == 'systemic' then return doubt(breaker, now) end
  if outcome ~= 'ok' then return end
  breaker.successes = breaker.successes + 1
  if breaker.successes >= limits.successes then close(breaker, now) end
end

local function hearCanary(limits, breaker, outcome, now)
  if outcome == 'neutral' then return end
  if outcome == 'systemic' then return isolate(breaker, now + limits.canaryMs) end
  -- An answer, even a throttle, needs working credentials. A failure proves nothing either way: a suspicion is
  -- dropped, an isolation is kept.
  if breaker.phase == 'suspected' or outcome == 'ok' or outcome == 'throttled' then
    close(breaker, now)
  else
    breaker['until'] = now + limits.canaryMs
  end
end

-- Moves the breaker by what a settled call found out: { id, job, epoch, outcome, weight, operation }.
local function hear(parameters, breaker, outcomesKey, finding, now)
  if breaker.phase == 'open' then return end
  if breaker.phase == 'closed' then return hearWhileClosed(parameters, breaker, outcomesKey, finding, now) end
  if breaker.probeId ~= finding.id or now >= breaker.probeUntil then return end
  breaker.probeId = ''
  if breaker.phase == 'half-open' then return hearProbe(parameters.breaker, breaker, finding.outcome, now) end
  return hearCanary(parameters.breaker, breaker, finding.outcome, now)
end

-- For how long the pool takes no calls, in ms; 0: it does.
local function shutMs(parameters, breaker, day, now)
  local parked = math.max(0, day.parkedUntil - now)
  if breaker.phase == 'closed' then return parked end
  local limits = parameters.breaker
  local byHand = breaker.phase == 'isolated' and breaker['until'] == 0
  return math.max(parked, byHand and limits.canaryMs or math.max(limits.probingLeastMs, breaker['until'] - now))
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

-- What follows from a changed breaker: after an outage a pool gets its load step by step; and news.
local function afterBreaker(parameters, state, outcomesKey, pool, before, changes, now)
  local closed = before.phase ~= 'closed' and state.breaker.phase == 'closed'
  if closed then
    redis.call('DEL', outcomesKey)
    if before.phase == 'open' or before.phase == 'half-open' then ramp(parameters.ceiling, state, now) end
  end
  noteBreaker(pool, state.breaker, before, changes)
end
