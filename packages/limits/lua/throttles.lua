-- Part of admit, settle and inspect: what a throttle says: the quota, or the few percent that a healthy service throttles
-- at any rate. Twin of `src/model/throttles.ts`, which tells how a trial finds out.

local function startCounting(refusals, now)
  refusals.trialAt = 0
  refusals.trialDueAt = now + refusals.trialWaitMs
  refusals.calls, refusals.throttles = 0, 0
end

-- `heardAt` of long ago: the first throttle starts the counting.
local function newRefusals(limits, now)
  return {
    late = 0, calls = 0, throttles = 0, base = 0, trialAt = 0, trialDueAt = 0, trialWaitMs = limits.trialWaitMs,
    heardAt = now - limits.forgetMs - 1, passed = false, doubted = false,
  }
end

-- A call was let go. Shares are counted by starts: refused calls end first, slow ones seconds later.
local function countCall(parameters, state)
  for _, at in pairs(state.dimensions) do
    local refusals = at.refusals
    if refusals then
      refusals.late = refusals.late * (1 - parameters.ceiling.lateWeight)
      refusals.calls = refusals.calls + 1
      -- What is tolerated must not be so long ago that a change drowns in it.
      if refusals.trialAt > 0 and refusals.calls >= parameters.ceiling.countMost then
        refusals.calls, refusals.throttles = refusals.calls / 2, refusals.throttles / 2
      end
    end
  end
end

local function sizeOf(cost)
  return cost.tokens or (cost['input-tokens'] or 0) + (cost['output-tokens'] or 0)
end

-- The largest reservation that was answered lately, in tokens; forgotten bit by bit. 0: none.
local function largestPassed(limits, state, now)
  local passed = state.passed
  return passed and passed.largest * 0.5 ^ ((now - passed.at) / limits.passedHalfMs) or 0
end

-- A call was answered: remembers its size.
local function notePassed(parameters, state, cost, now)
  local largest = math.max(sizeOf(cost), largestPassed(parameters.ceiling, state, now))
  state.passed = { largest = largest, at = now }
end

-- Smaller calls pass, so it is this call that does not fit: the ceiling has nothing to learn from it.
local function isTooLarge(limits, state, cost, now)
  if not state.passed or now - state.passed.at > limits.passedLateMs then return false end
  -- More than a little larger: calls of one size must not look large to each other while the memory fades.
  return sizeOf(cost) > limits.largerThanPassed * largestPassed(limits, state, now)
end

-- Begins a trial, if it is time for one.
local function tries(limits, at, refusals, now)
  if now < refusals.trialDueAt or refusals.late >= limits.aloneShare then return false end
  -- More than was seen, by what chance may have hidden: few calls say little.
  local throttles, calls = refusals.throttles, refusals.calls
  refusals.base = (throttles + 1 + math.sqrt(throttles)) / math.max(1, calls)
  if refusals.base > limits.tolerableShare then return false end
  refusals.trialAt, refusals.passed = now, false
  refusals.calls, refusals.throttles = 0, 0
  at.ceiling = 1
  return true
end

-- Whether calls are refused no more often than before. If not, the trial is over.
local function passes(limits, at, refusals, now)
  local calls, throttles, trialAt = refusals.calls, refusals.throttles, refusals.trialAt
  if not refusals.passed and now - trialAt >= limits.trialMs and calls >= limits.trialCalls then
    refusals.passed, refusals.base = true, throttles / calls
  end
  local most = limits.spareThrottles + limits.moreThanBefore * refusals.base * calls
  if refusals.late < limits.clusterShare and throttles <= most then return true end
  if refusals.passed then
    refusals.trialWaitMs = limits.trialWaitMs
  else
    refusals.trialWaitMs = math.min(limits.trialWaitMostMs, refusals.trialWaitMs * limits.trialWaitGrowth)
    -- The ceiling goes on where it was, as if there had been no trial.
    at.cutAt = at.cutAt + now - trialAt
    grow(limits, at, now)
  end
  startCounting(refusals, now)
  return false
end

local function isTolerated(limits, at, startAt, now)
  at.refusals = at.refusals or newRefusals(limits, now)
  local refusals = at.refusals
  -- Started before the trial: says nothing about it.
  if refusals.trialAt > 0 and startAt <= refusals.trialAt then return true end
  refusals.late = refusals.late + limits.lateWeight * (1 - refusals.late)
  local quietMs = now - refusals.heardAt
  refusals.heardAt = now
  if quietMs > limits.quietMs then
    if quietMs > limits.forgetMs then refusals.trialWaitMs = limits.trialWaitMs end
    startCounting(refusals, now)
    return false
  end
  refusals.throttles = refusals.throttles + 1
  return (refusals.trialAt > 0 and passes or tries)(limits, at, refusals, now)
end

-- A throttle: cuts the dimension that the server named ('' if none), or the one that looks guilty. Returns whether it is
-- a sign of the quota; if not, the call has cost nothing.
local function refuse(parameters, state, named, cost, startAt, now)
  local limits = parameters.ceiling
  if isTooLarge(limits, state, cost, now) then return false end
  local counted = parameters.rates[named] ~= nil
  local emptiest = math.huge
  for dimension, rate in pairs(parameters.rates) do
    emptiest = math.min(emptiest, state.dimensions[dimension].level / rate.capacity)
  end
  -- Named but not ours to count, or none of them near empty: any of them may be the one.
  local unsure = named ~= '' or emptiest > limits.unsureAbove
  local sign = next(parameters.rates) == nil
  for dimension, rate in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    local guilty
    if counted then guilty = dimension == named else guilty = unsure or at.level / rate.capacity <= emptiest end
    if guilty and not isTolerated(limits, at, startAt, now) then
      sign = true
      cut(limits, at, rate.perMs, now)
    end
  end
  return sign
end

-- Little is left of the rate, or most calls of a minute and more were refused.
local function isDoubtful(limits, at, refusals, now)
  if at.ceiling <= limits.doubtBelow and refusals.late > 0.001 then return true end
  local countedMs = now - (refusals.trialDueAt - refusals.trialWaitMs)
  return refusals.trialAt == 0 and countedMs >= 60000 and refusals.calls >= 20
    and refusals.throttles > refusals.calls / 2
end

-- News when the quota turns out to be far above what the server gives, and when that is over; appended to `changes`.
local function doubtQuotas(parameters, state, pool, changes, now)
  for _, dimension in ipairs({ 'requests', 'tokens', 'input-tokens', 'output-tokens' }) do
    local rate, at = parameters.rates[dimension], state.dimensions[dimension]
    local refusals = rate and at.refusals
    if refusals then
      local limits, doubtful = parameters.ceiling, nil
      if refusals.doubted then doubtful = at.ceiling < limits.trustAbove
      else doubtful = isDoubtful(limits, at, refusals, now) end
      if doubtful ~= refusals.doubted then
        refusals.doubted = doubtful
        changes[#changes + 1] = {
          type = 'quota-doubtful', pool = pool, dimension = dimension, doubtful = doubtful,
          ceiling = at.ceiling, perMinute = math.floor(rate.perMs * at.ceiling * 60000 + 0.5),
        }
      end
    end
  end
end
