-- Part of admit and settle: refill, backlog, waits, debits. Twin of `src/model/quota.ts`.

-- Keeps every moment where it was relative to a clock that stepped.
local function shiftTimes(state, stepMs)
  state.at = state.at + stepMs
  for _, lane in pairs(state.lanes) do
    lane.ticketAt = lane.ticketAt + stepMs
    lane.creditAt = lane.creditAt + stepMs
  end
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
    at.level = math.min(rate.capacity, at.level + elapsed * rate.perMs)
  end
  for _, limits in ipairs(parameters.lanes) do
    local lane = state.lanes[limits.name]
    local most = limits.share * parameters.guaranteeCreditMs
    lane.creditMs = math.min(most, lane.creditMs + (now - lane.creditAt) * limits.share)
    lane.creditAt = now
  end
  return now
end

-- How long the pool works on what it has promised already, in ms, for a lane that may draw `reserveMs`.
local function backlogMs(parameters, state, reserveMs)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    longest = math.max(longest, -state.dimensions[dimension].level / rate.perMs - reserveMs)
  end
  return longest
end

-- How long until a cost has accrued, in ms. A call pre-pays: it starts when its own cost is there.
local function accrualMs(parameters, state, cost, reserveMs)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    local missing = (cost[dimension] or 0) - state.dimensions[dimension].level
    longest = math.max(longest, missing / rate.perMs - reserveMs)
  end
  return longest
end

-- A cost in ms of quota: its dearest dimension decides.
local function costMs(parameters, cost)
  local longest = 0
  for dimension, rate in pairs(parameters.rates) do
    longest = math.max(longest, (cost[dimension] or 0) / rate.perMs)
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
    local change = (reserved[dimension] or 0) - (used[dimension] or 0)
    at.level = math.min(rate.capacity, at.level + change)
  end
end
