-- Part of admit: what a call is told that asks now; changes nothing but the turn of the day. Twin of
-- `src/model/decide.ts`.

local function claimOf(parameters, state, limits, id, cost)
  return {
    id = id,
    limits = limits,
    lane = state.lanes[limits.name],
    costMs = costMs(parameters, state, cost),
    backlogMs = backlogMs(parameters, state),
    accrualMs = accrualMs(parameters, state, cost),
    horizonMs = horizonMs(parameters, state, limits),
    outranked = isOutranked(parameters, state, limits),
  }
end

-- `knocker`: { pool, rank of its lane, last, job, process, operation }; `limits`: those of its lane. Returns
-- 'granted', the claim for `commit`, whether it is a probe;  'wait', the claim for `takeTicket`;  'open', ms, cause.
local function decide(parameters, state, day, knocker, limits, id, cost)
  local now = state.at
  local closedMs = dayClosedMs(parameters.day, day, knocker.pool, cost, now)
  if closedMs > 0 then return 'open', closedMs, 'day' end
  local restMs = dayRestMs(parameters.day, day, cost, now)
  if restMs > 0 then return 'open', restMs, 'day-rest' end
  local door, afterMs, cause = knock(parameters, state.breaker, knocker, now)
  if door == 'shut' then return 'open', afterMs, cause end
  local phase = state.breaker.phase
  if phase ~= 'suspected' and phase ~= 'isolated' then
    local deniedMs = deniedForMs(parameters, state, knocker.operation, knocker.process)
    if deniedMs > 0 then return 'open', deniedMs, 'denied' end
  end
  local claim = claimOf(parameters, state, limits, id, cost)
  -- A probe does not queue behind its lane's horizon, but pays like every call.
  local probe = door == 'probe'
  if probe or mayCommit(parameters, claim) then return 'granted', claim, probe end
  return 'wait', claim
end
