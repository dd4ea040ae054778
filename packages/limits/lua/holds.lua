-- Part of admit and settle: whether everybody heeds the time for which a failed call was told to wait. A healthy service
-- turns a few calls away at any rate, and there a hold costs everything. So a hold needs most of the latest calls to have
-- failed, or a pool that answers nobody; the job itself waits in any case. Twin of `src/model/holds.ts`.

-- A share so small that the next call need not look.
local FORGOTTEN = 0.001

-- A call was let go. The share is one of starts: failures end first, answers of slow models seconds later.
local function countForHolds(parameters, state)
  if not state.failing then return end
  state.failing = state.failing * (1 - parameters.ceiling.lateWeight)
  if state.failing < FORGOTTEN then state.failing = nil end
end

-- A call has failed, or was turned away with a time to wait.
local function noteFailing(parameters, state)
  local failing = state.failing or 0
  state.failing = failing + parameters.ceiling.lateWeight * (1 - failing)
end

-- After what the breaker makes of the outcome. `sign` of a throttle: whether it is one of the quota. Another is about its
-- call, and so is the time it gives.
local function isHeeded(parameters, state, outcome, sign, now)
  if outcome == 'throttled' then return sign end
  if outcome == 'ok' or outcome == 'systemic' then return false end
  local breaker = state.breaker
  if breaker.phase ~= 'closed' or now - breaker.answeredAt > parameters.breaker.forgetMs then return true end
  return (state.failing or 0) >= parameters.ceiling.clusterShare
end
