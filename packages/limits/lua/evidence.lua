-- Part of settle: what the calls of a closed pool add up to: an outage, denied access, or nothing. Twin of
-- `src/model/evidence.ts`.
--
-- An outage is either a spell of starts that failed (starts.lua), for pools with traffic, or failures in a row, for
-- those with little. Both count calls that are still out: failures are heard of sooner than answers.

-- The operation may be called.
local function acquit(breaker, operation)
  for place = #breaker.suspects, 1, -1 do
    if breaker.suspects[place].shape == operation then table.remove(breaker.suspects, place) end
  end
  if not isWatched(breaker) then breaker.askers, breaker.processes = nil, nil end
end

local function answered(parameters, breaker, finding, now)
  if now - breaker.answeredAt >= parameters.silenceMs then breaker.answeringSince = now end
  breaker.answeredAt = now
  if breaker.run and finding.startAt >= breaker.run.since then breaker.run = nil end
  acquit(breaker, finding.operation)
end

local function lengthen(limits, run, job, weight)
  run.failures = run.failures + weight
  for _, one in ipairs(run.jobs) do
    if one.job == job then
      one.failures = one.failures + weight
      return
    end
  end
  if #run.jobs < 2 * limits.failures then run.jobs[#run.jobs + 1] = { job = job, failures = weight } end
end

-- The failures in a row that count: no job's for more than half of what opens, unless there is no other job.
local function rowOf(limits, run, alone)
  local most = alone and math.huge or math.ceil(limits.failures / 2)
  local sum = 0
  for _, one in ipairs(run.jobs) do sum = sum + math.min(one.failures, most) end
  return sum
end

-- Whether more than so many calls that started in that time are still out. By their starts, since calls differ in how
-- long they may last; no further than it takes to know, since there may be thousands.
local function areMoreOut(reservationsKey, from, to, most)
  local count = 0
  for _, packed in ipairs(redis.call('HVALS', reservationsKey)) do
    local startAt = cmsgpack.unpack(packed).startAt
    if startAt > from and startAt <= to then count = count + 1 end
    if count > most then return true end
  end
  return false
end

local function fail(parameters, breaker, memory, finding, now)
  -- It started before the pool answered again: it is about a silence that is over.
  if finding.startAt < breaker.answeringSince then return end
  local limits = parameters.breaker
  -- One job that fails again and again is one failure of the spell, or a fast one among slow jobs would be all of it.
  if breaker.failedLast == finding.job then
    uncountStart(parameters, memory.startsKey, finding.startAt)
  else
    countFailure(parameters, memory.startsKey, finding.startAt, finding.weight)
  end
  breaker.failedLast = finding.job
  if not breaker.run then
    local alone = redis.call('HLEN', memory.reservationsKey) == 0
    breaker.run = { since = finding.startAt, failures = 0, jobs = {}, alone = alone, epoch = breaker.epoch }
  end
  local run = breaker.run
  lengthen(limits, run, finding.job, finding.weight)
  noteAsker(parameters, breaker, finding.job)
  local others = othersAnsweredAt(memory.answers, finding.operation, finding.job)
  local alone = run.alone and #(breaker.askers or {}) <= 1 and now - others >= limits.forgetMs
  local long = rowOf(limits, run, alone) >= limits.failures
  -- Calls that started before and are still out may all be answered: wait for most of them.
  local inRow = long and not areMoreOut(memory.reservationsKey, -math.huge, finding.startAt, run.failures / limits.outWeight)
  if inRow or spellFailed(parameters, memory.startsKey, finding.startAt) then open(limits, breaker, now) end
end

-- The first known denial of the operation since that was answered, or nil.
local function firstSuspect(breaker, operation)
  for _, one in ipairs(breaker.suspects) do
    if one.shape == operation then return one end
  end
end

-- Whether another operation was answered since this one was denied.
local function isAnsweredElsewhere(answers, breaker, operation)
  local first = firstSuspect(breaker, operation)
  return elsewhereAnsweredAt(answers, operation) > (first and first.at or 0)
end

-- Whether so many calls of the operation were denied, of so many jobs, that it is no job's own mistake.
local function areEnough(limits, breaker, operation)
  local same, seen, jobs = 0, {}, 0
  for _, one in ipairs(breaker.suspects) do
    if one.shape == operation then
      same = same + 1
      if not seen[one.job] then seen[one.job], jobs = true, jobs + 1 end
    end
  end
  return same >= limits.suspects and jobs >= math.min(limits.suspectJobs, #(breaker.askers or {}))
end

local function suspect(parameters, breaker, memory, finding, now)
  local limits, suspects, operation = parameters.breaker, breaker.suspects, finding.operation
  local first = firstSuspect(breaker, operation)
  local since = first and first.since or now
  -- 'shape' is what version 0.1 calls it.
  local one = { job = finding.job, shape = operation, process = finding.process, at = now, since = since }
  table.insert(suspects, one)
  if #suspects > limits.suspectsKept then table.remove(suspects, 1) end
  noteAsker(parameters, breaker, finding.job)
  if not areEnough(limits, breaker, operation) then return end
  -- What answers other operations need not be stopped because of one that nobody may call: see denied.lua.
  if isAnsweredElsewhere(memory.answers, breaker, operation) then return end
  -- Denials are heard of at once, answers later. Calls that started before this one may be answered yet: wait for them,
  -- but no longer than a denial takes. Those that are out after that were let in.
  local to = now - since < LET_IN_MS and finding.startAt or now - LET_IN_MS
  if not areMoreOut(memory.reservationsKey, now - limits.forgetMs, to, 0) then doubt(breaker, now) end
end

local function hearWhileClosed(parameters, breaker, memory, finding, now)
  local outcome = finding.outcome
  if outcome == 'ok' then
    answered(parameters, breaker, finding, now)
  elseif outcome == 'failed' or outcome == 'timeout' then
    fail(parameters, breaker, memory, finding, now)
  else
    uncountStart(parameters, memory.startsKey, finding.startAt)
    if outcome == 'throttled' then acquit(breaker, finding.operation) end
    if outcome == 'systemic' then suspect(parameters, breaker, memory, finding, now) end
  end
end

-- Moves the breaker by what a settled call found out: { id, job, operation, process, epoch, startAt, probe, outcome, weight }.
-- `memory`: startsKey, answers, reservationsKey (calls that are out).
local function hear(parameters, breaker, memory, finding, now)
  if breaker.phase == 'closed' then
    -- Calls admitted before the last opening say nothing about the pool as it is now.
    if finding.epoch == breaker.epoch then hearWhileClosed(parameters, breaker, memory, finding, now) end
    return
  end
  local limits, outcome = parameters.breaker, finding.outcome
  if outcome == 'failed' or outcome == 'timeout' then noteFailed(limits, breaker, finding.job) end
  hearProbe(limits, breaker, finding, now)
  hearCanary(limits, breaker, finding, now)
end
