-- Part of settle: operations that nobody may call while others are answered: the pool goes on, so somebody must be told.
-- Twin of `src/model/denied.ts`.

-- News when an operation turns out to be denied, and when it is answered again, once each; appended to `changes`.
-- After `hear`.
local function tellDenied(parameters, state, pool, answers, operation, outcome, changes)
  local denied = state.denied or {}
  local place
  for at, one in ipairs(denied) do
    if one == operation then place = at end
  end
  if place and (outcome == 'ok' or outcome == 'throttled') then
    table.remove(denied, place)
  elseif not place and outcome == 'systemic' and state.breaker.phase == 'closed'
    and areEnough(parameters.breaker, state.breaker, operation)
    and isAnsweredElsewhere(answers, state.breaker, operation) then
    -- The whole pool is suspected otherwise, or will be.
    denied[#denied + 1] = operation
    if #denied > parameters.operationsKept then table.remove(denied, 1) end
  else
    return
  end
  -- An empty list would be encoded as an object.
  state.denied = #denied > 0 and denied or nil
  changes[#changes + 1] = { type = 'operation-denied', pool = pool, operation = operation, denied = place == nil }
end
