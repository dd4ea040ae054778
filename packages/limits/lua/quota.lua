-- Part of admit, settle and inspect: refill, backlog, waits, debits. Twin of `src/model/quota.ts`.

-- Keeps every moment where it was relative to a clock that stepped.
local function shiftTimes(state, stepMs)
  state.at = state.at + stepMs
  -- For times that are kept elsewhere: see answers.lua.
  state.shiftedMs = (state.shiftedMs or 0) + stepMs
  for _, at in pairs(state.dimensions) do
    local refusals = at.refusals
    at.cutAt = at.cutAt + stepMs
    if refusals then
      refusals.heardAt = refusals.heardAt + stepMs
      refusals.trialDueAt = refusals.trialDueAt + stepMs
      if refusals.trialAt > 0 then refusals.trialAt = refusals.trialAt + stepMs end
    end
  end
  if state.passed then state.passed.at = state.passed.at + stepMs end
  for _, lane in pairs(state.lanes) do
    lane.ticketAt = lane.ticketAt + stepMs
    lane.firstAt = lane.firstAt + stepMs
  end
  shiftBreaker(state.breaker, stepMs)
end

-- How long the pool works on what it has promised already, in ms.
local function backlogMs(parameters, state)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    longest = math.max(longest, -at.level / (rate.perMs * at.ceiling))
  end
  return longest
end

-- Moves the pool's clock to `time` and refills what has accrued since.
-- Returns the pool's time, at least as late as any it has seen.
local function advance(parameters, state, time)
  -- A failover can bring a server whose clock is far behind: believe it, and refill nothing for the jump.
  if state.at - time > parameters.clockStepMs then shiftTimes(state, time - state.at) end
  local now = math.max(time, state.at)
  local elapsed = now - state.at
  state.at = now
  for dimension, rate in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    if at.ceiling < 1 then grow(parameters.ceiling, at, now) end
    at.level = math.min(rate.capacity, at.level + elapsed * rate.perMs * at.ceiling)
  end
  local backlog = backlogMs(parameters, state)
  for _, limits in ipairs(parameters.lanes) do
    local lane, share = state.lanes[limits.name], limits.share
    lane.creditMs = math.min(share * parameters.guaranteeCreditMs, lane.creditMs + elapsed * share)
    -- What the level has made up for is no longer drawn.
    lane.drawnMs = math.min(lane.drawnMs, backlog)
  end
  return now
end

-- How long until a cost has accrued, in ms. A call pre-pays: it starts when its own cost is there.
local function accrualMs(parameters, state, cost)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    longest = math.max(longest, ((cost[dimension] or 0) - at.level) / (rate.perMs * at.ceiling))
  end
  return longest
end

-- A cost in ms of quota: its dearest dimension decides.
local function costMs(parameters, state, cost)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    longest = math.max(longest, (cost[dimension] or 0) / (rate.perMs * state.dimensions[dimension].ceiling))
  end
  return longest
end

-- Takes a cost from the levels; they may go below zero.
local function debit(parameters, state, cost)
  for dimension in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    at.level = at.level - (cost[dimension] or 0)
  end
end

-- Gives back what was reserved and not used, or takes what was used and not reserved.
local function refund(parameters, state, reserved, used)
  for dimension, rate in pairs(parameters.rates) do
    local at = state.dimensions[dimension]
    local unused = (reserved[dimension] or 0) - (used[dimension] or 0)
    at.level = math.min(rate.capacity, at.level + unused)
  end
end
